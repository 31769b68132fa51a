"""The commands `make up`, `down`, `status`, `ssh`, `secret` and `mail`: a thin layer over Terraform and Ansible."""
