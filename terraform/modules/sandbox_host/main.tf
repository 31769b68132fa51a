# One host. Only a change of its name, address or network replaces it, so that a growing tier replaces no other host.
# A shared folder is mounted when the host is created, and never later.

resource "terraform_data" "host" {
  input = {
    script          = "${path.module}/host.sh"
    fleet           = var.fleet
    name            = var.name
    address         = var.address
    network         = var.network
    owner           = abspath("${path.root}/../..")
    state_directory = var.state_directory
    shared_folder   = var.shared_folder
  }
  triggers_replace = [var.fleet, var.name, var.address, var.network]

  provisioner "local-exec" {
    command = "${self.input.script} create"
    environment = {
      FLEET           = self.input.fleet
      HOST            = self.input.name
      ADDRESS         = self.input.address
      NETWORK         = self.input.network
      OWNER           = self.input.owner
      STATE_DIRECTORY = self.input.state_directory
      SHARED_FOLDER   = self.input.shared_folder
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "${self.input.script} destroy"
    environment = {
      FLEET           = self.input.fleet
      HOST            = self.input.name
      ADDRESS         = self.input.address
      NETWORK         = self.input.network
      OWNER           = self.input.owner
      STATE_DIRECTORY = self.input.state_directory
    }
  }
}
