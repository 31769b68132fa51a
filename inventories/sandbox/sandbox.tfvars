# Hosts of the sandbox (`make up`): ten, two or three in each tier that must survive a failure. The variables are those
# of terraform/sandbox/variables.tf. A variable that is set here wins over TF_VAR_… in the environment.
single_host = false
