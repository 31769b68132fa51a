# A bridge network on this machine, with an SSH key pair and the host image that its hosts share.

resource "terraform_data" "network" {
  input = {
    script = "${path.module}/network.sh"
    fleet  = var.fleet
    subnet = var.subnet
    owner  = abspath("${path.root}/../..")
  }
  # The subnet and the fleet's name cannot change under running hosts.
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

# The key pair that Ansible logs in with: made once per fleet, kept outside git.
resource "terraform_data" "ssh_key" {
  input            = { file = "${var.state_directory}/id_ed25519" }
  triggers_replace = [var.state_directory]

  provisioner "local-exec" {
    command     = "mkdir -p \"$(dirname \"$FILE\")\" && chmod 700 \"$(dirname \"$FILE\")\" && { [ -s \"$FILE\" ] || ssh-keygen -q -t ed25519 -N '' -C flaskfleet -f \"$FILE\"; }"
    environment = { FILE = self.input.file }
  }
}

resource "terraform_data" "image" {
  input = "${path.root}/../../bin/host-image"

  provisioner "local-exec" {
    command = "${self.input} >/dev/null"
  }
}
