provider "aws" {
  region = "eu-west-1"
}

# The shopping cart of 2022. Its service is gone, and its keys were only switched off.
module "cart" {
  source   = "../modules/retired-key"
  for_each = toset(["cart.4", "cart.5"])
}
