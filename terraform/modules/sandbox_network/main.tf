# A bridge network on this machine, and the SSH key pair and image of all its hosts.

resource "terraform_data" "network" {
  input = {
    script = "${path.module}/network.sh"
    fleet  = var.fleet
    subnet = var.subnet
    owner  = abspath("${path.root}/../..")
  }
  # The subnet and the fleet's name cannot change while hosts run.
  triggers_replace = [var.fleet, var.subnet]

  provisioner "local-exec" {
    command     = "${self.input.script} create"
    environment = { FLEET = self.input.fleet, SUBNET = self.input.subnet, OWNER = self.input.owner }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "${self.input.script} destroy"
    environment = { FLEET = self.input.fleet, SUBNET = self.input.subnet, OWNER = self.input.owner }
  }
}

# The key pair for Ansible, generated once for each fleet and stored outside git.
resource "terraform_data" "ssh_key" {
  input            = { file = "${var.state_directory}/id_ed25519" }
  triggers_replace = [var.state_directory]

  provisioner "local-exec" {
    command     = <<-EOT
      mkdir -p "$(dirname "$FILE")" && chmod 700 "$(dirname "$FILE")" &&
        { [ -s "$FILE" ] || ssh-keygen -q -t ed25519 -N '' -C flaskfleet -f "$FILE"; }
    EOT
    environment = { FILE = self.input.file }
  }
}

resource "terraform_data" "image" {
  input = "${path.root}/../../bin/host-image"

  provisioner "local-exec" {
    command = "${self.input} >/dev/null"
  }
}
