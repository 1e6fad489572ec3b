output "vpc" {
  value = aws_vpc.this.id
}

output "subnets" {
  description = "The two subnets of each tier."
  value = {
    for tier in local.tiers : tier => [for zone in local.zones : aws_subnet.this["${tier}-${zone}"].id]
  }
}

output "security_groups" {
  value = {
    public  = aws_security_group.public.id
    private = aws_security_group.private.id
    data    = aws_security_group.data.id
  }
}
