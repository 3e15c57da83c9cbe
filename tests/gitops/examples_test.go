package main

import (
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheConfigMapHoldsTheHealthScript(t *testing.T) {
	var patch struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal([]byte(text(t, "../../deploy/argocd/argocd-cm.yaml")), &patch); err != nil {
		t.Fatal(err)
	}
	held := patch.Data["resource.customizations.health.streamrole.dev_PinpointEventStreamRole"]
	if held != text(t, healthScript) || len(patch.Data) != 1 {
		t.Error("deploy/argocd/argocd-cm.yaml must hold deploy/argocd/health.lua as it is, and nothing else")
	}
}
