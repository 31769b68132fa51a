output "hosts" {
  description = "Hosts by name: addresses, zone, instance id, and data volumes with device and mount point."
  value = {
    for name, host in local.hosts : name => {
      id      = aws_instance.host[name].id
      private = aws_instance.host[name].private_ip
      public  = aws_instance.host[name].public_ip
      zone    = host.zone
      # Nitro instances number their devices in varying order. udev names each by the volume's id, without its dash.
      data_volumes = [
        for owner, volume in aws_ebs_volume.data : {
          device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(volume.id, "-", "")}"
          path   = var.tiers[host.tier].data_path
        } if owner == name
      ]
    }
  }

  precondition {
    condition = length(local.in_one_zone) == 0
    error_message = join(" ", [
      "zones: the majority of ${join(" and ", local.in_one_zone)} is in one zone, whose loss would stop the fleet;",
      "use three zones, or distribute the voters with etcd_on and sentinel_on.",
    ])
  }
}

output "profiles" {
  description = "Instance profile of each host, by host name. Hosts without one are left out."
  value       = { for name, profile in local.profile_of : name => profile if profile != null }
}
