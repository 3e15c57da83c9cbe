variable "role_name" {
  description = "Name of the controller's own role. Its path is /streamrole-controller/."
  type        = string
  default     = "streamrole-controller"

  validation {
    condition     = can(regex("^[0-9A-Za-z_+=,.@-]{1,64}$", var.role_name))
    error_message = "role_name must be 1 to 64 letters, digits and any of _+=,.@-."
  }
}

variable "role_prefix" {
  description = "Prefix of the paths and names of the managed roles, as in /streaming/ or /streaming-."
  type        = string

  validation {
    condition     = can(regex("^/[0-9A-Za-z_+=,.@/-]*$", var.role_prefix))
    error_message = "role_prefix must begin with / and contain only letters, digits and any of _+=,.@/-."
  }

  # The path of the controller's own role, as in main.tf: variables cannot refer to locals.
  validation {
    condition = !(
      startswith("/streamrole-controller/", var.role_prefix) || startswith(var.role_prefix, "/streamrole-controller/")
    )
    error_message = "role_prefix covers the controller's own role, whose path is /streamrole-controller/. Choose a longer one, as in /streaming/."
  }
}

variable "cluster_uid" {
  description = "Uid of the cluster's namespace kube-system."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f-]{36}$", var.cluster_uid))
    error_message = "cluster_uid must be the output of: kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'."
  }
}

variable "namespace" {
  description = "Namespace of the controller's service account."
  type        = string
  default     = "streamrole-system"
}

variable "service_account" {
  description = "Name of the controller's service account."
  type        = string
  default     = "streamrole"
}

variable "eks_cluster_name" {
  description = "For EKS Pod Identity, the name of the EKS cluster."
  type        = string
  default     = ""
}

variable "oidc_provider" {
  description = "For IRSA, the cluster's OIDC provider without https://."
  type        = string
  default     = ""
}

variable "allow_adoption" {
  description = "Whether roles without an owner may be adopted."
  type        = bool
  default     = false
}

variable "other_cluster_uid" {
  description = "Uid of the namespace kube-system of a cluster whose roles may be taken over."
  type        = string
  default     = ""
}

variable "boundary_arn" {
  description = "Permissions boundary that every managed role must have."
  type        = string
  default     = ""
}
