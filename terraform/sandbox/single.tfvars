single_host = true
