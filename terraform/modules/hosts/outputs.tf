output "hosts" {
  description = "Host name → its private and public address, zone, instance id, and its data volumes: device and where it belongs."
  value = {
    for name, host in local.hosts : name => {
      id      = aws_instance.host[name].id
      private = aws_instance.host[name].private_ip
      public  = aws_instance.host[name].public_ip
      zone    = host.zone
      # A Nitro instance numbers its devices as they come; udev names each by the volume's id, without its dash.
      data_volumes = [
        for owner, volume in aws_ebs_volume.data : {
          device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(volume.id, "-", "")}"
          path   = var.tiers[host.tier].data_path
        } if owner == name
      ]
    }
  }

  precondition {
    condition     = length(local.crowded) == 0
    error_message = "The majority of ${join(" and ", local.crowded)} stands in one zone, whose loss would stop the fleet: give three zones, or place the voters with etcd_on and sentinel_on."
  }
}
