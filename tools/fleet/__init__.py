"""What `make up`, `make down`, `make status`, `make ssh` and `make secret` do: a thin wrapper over terraform and ansible-playbook."""
