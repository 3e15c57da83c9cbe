# The controller's own role, with the policies in the parent folder. Its README explains each statement.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.30" # the first with aws_eks_pod_identity_association
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  values = {
    partition           = local.partition
    account_id          = local.account_id
    role_prefix         = var.role_prefix
    cluster_uid         = var.cluster_uid
    other_cluster_uid   = var.other_cluster_uid
    boundary_arn        = var.boundary_arn
    controller_role_arn = aws_iam_role.controller.arn
  }

  policies = merge(
    { streamrole = "policy.json", streamrole-own-role = "policy-own-role.json" },
    var.allow_adoption ? { streamrole-adoption = "policy-adoption.json" } : {},
    var.other_cluster_uid != "" ? { streamrole-take-over = "policy-take-over.json" } : {},
    var.boundary_arn != "" ? { streamrole-boundary = "policy-boundary.json" } : {},
  )

  pod_identity_trust = {
    Effect    = "Allow"
    Principal = { Service = "pods.eks.amazonaws.com" }
    Action    = ["sts:AssumeRole", "sts:TagSession"]
    Condition = {
      StringEquals = {
        "aws:SourceAccount"                         = local.account_id
        "aws:RequestTag/eks-cluster-name"           = var.eks_cluster_name
        "aws:RequestTag/kubernetes-namespace"       = var.namespace
        "aws:RequestTag/kubernetes-service-account" = var.service_account
      }
    }
  }

  irsa_trust = {
    Effect    = "Allow"
    Principal = { Federated = "arn:${local.partition}:iam::${local.account_id}:oidc-provider/${var.oidc_provider}" }
    Action    = ["sts:AssumeRoleWithWebIdentity"]
    Condition = {
      StringEquals = {
        "${var.oidc_provider}:aud" = "sts.amazonaws.com"
        "${var.oidc_provider}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
      }
    }
  }
}

resource "aws_iam_role" "controller" {
  name        = var.role_name
  path        = "/streamrole-controller/" # role_prefix must not cover it
  description = "The streamrole controller"

  # Both branches are strings: the two trusts are objects of different types.
  assume_role_policy = var.oidc_provider != "" ? jsonencode({
    Version = "2012-10-17", Statement = [local.irsa_trust]
    }) : jsonencode({
    Version = "2012-10-17", Statement = [local.pod_identity_trust]
  })

  lifecycle {
    precondition {
      condition     = (var.oidc_provider != "") != (var.eks_cluster_name != "")
      error_message = "Set either eks_cluster_name (Pod Identity) or oidc_provider (IRSA)."
    }
  }
}

resource "aws_iam_role_policy" "controller" {
  for_each = local.policies

  name   = each.key
  role   = aws_iam_role.controller.id
  policy = templatefile("${path.module}/../${each.value}", local.values)
}

resource "aws_eks_pod_identity_association" "controller" {
  count = var.eks_cluster_name != "" ? 1 : 0

  cluster_name    = var.eks_cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.controller.arn
}

output "role_arn" {
  description = "For IRSA, the value of the service account's annotation eks.amazonaws.com/role-arn."
  value       = aws_iam_role.controller.arn
}
