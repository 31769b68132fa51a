# Hosts of the sandbox (`make up`): the smallest fleet whose database has a standby. The variables are those of
# terraform/sandbox/variables.tf.
loadbalancer_hosts = 1
app_hosts          = 1
worker_hosts       = 1
postgres_hosts     = 2
redis_hosts        = 1
monitoring_hosts   = 1
