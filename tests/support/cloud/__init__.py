"""A local EC2 for tests: moto answers the AWS provider, and every running instance is a sandbox host."""
