# Hosts of the sandbox (`make up`): one host in every group. The variables are those of terraform/sandbox/variables.tf.
single_host = true
