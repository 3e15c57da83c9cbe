package main

import (
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
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

// The expressions are judged as Flux does it (pkg/runtime/cel): the generation first, then each expression in
// turn. One that fails leaves the verdict Unknown, and Flux goes on waiting.
func TestFluxJudgesEachStateByTheExpressionsAsDocumented(t *testing.T) {
	expressions := fluxExpressions(t)
	for _, state := range states() {
		t.Run(state.name, func(t *testing.T) {
			said := "InProgress"
			if state.observed == 0 || state.observed == state.generation {
				said = firstTrue(t, expressions, state.object().Object)
			}
			if said != state.flux {
				t.Errorf("Flux says %s, expected %s", said, state.flux)
			}
		})
	}
}

type expression struct{ verdict, text string }

func fluxExpressions(t *testing.T) []expression {
	t.Helper()
	var last struct {
		Spec struct {
			HealthCheckExprs []struct{ APIVersion, Kind, InProgress, Failed, Current string }
		}
	}
	documents := strings.Split(text(t, "../../deploy/flux/kustomizations.yaml"), "\n---\n")
	if err := yaml.Unmarshal([]byte(documents[len(documents)-1]), &last); err != nil {
		t.Fatal(err)
	}
	checks := last.Spec.HealthCheckExprs
	if len(checks) != 1 || checks[0].APIVersion != "streamrole.dev/v1alpha1" || checks[0].Kind != "PinpointEventStreamRole" {
		t.Fatalf("the last Kustomization must have the expressions of the resource: %v", checks)
	}
	return []expression{
		{"InProgress", checks[0].InProgress}, {"Failed", checks[0].Failed}, {"Current", checks[0].Current},
	}
}

func firstTrue(t *testing.T, expressions []expression, object map[string]any) string {
	t.Helper()
	environment, err := cel.NewEnv(cel.CrossTypeNumericComparisons(true), cel.OptionalTypes())
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range expressions {
		parsed, issues := environment.Parse(expression.text)
		if issues != nil {
			t.Fatalf("%s: %s", expression.text, issues)
		}
		program, err := environment.Program(parsed)
		if err != nil {
			t.Fatalf("%s: %v", expression.text, err)
		}
		value, _, err := program.Eval(object)
		if err != nil {
			return "Unknown"
		}
		if value == types.True {
			return expression.verdict
		}
	}
	return "InProgress"
}
