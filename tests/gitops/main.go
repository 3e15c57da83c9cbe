// Command verdicts says how GitOps tools judge objects. It reads Kubernetes objects as JSON from standard
// input, one a line, and writes one line of JSON for each: the verdict of kstatus, which Flux waits for, and
// Argo CD's health by the script that the argument names. It knows nothing of streamrole.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// A verdict is what both tools say of one object.
type verdict struct {
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	Argocd         string `json:"argocd"`
	ArgocdMessage  string `json:"argocdMessage"`
}

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: verdicts <path of health.lua>, with one JSON object a line on standard input"))
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	if err := judgeAll(os.Stdin, os.Stdout, string(script)); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "verdicts:", err)
	os.Exit(1)
}

// judgeAll stops at the first object that cannot be judged.
func judgeAll(in io.Reader, out io.Writer, script string) error {
	objects := json.NewDecoder(in)
	verdicts := json.NewEncoder(out)
	verdicts.SetEscapeHTML(false)
	for number := 1; ; number++ {
		var raw json.RawMessage
		err := objects.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("object %d is not JSON: %w", number, err)
		}
		var object unstructured.Unstructured
		// Integers become int64, as both tools have them.
		if err := object.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("object %d is no Kubernetes object: %w", number, err)
		}
		judged, err := judge(&object, script)
		if err != nil {
			return fmt.Errorf("object %d: %w", number, err)
		}
		if err := verdicts.Encode(judged); err != nil {
			return err
		}
	}
}

func judge(object *unstructured.Unstructured, script string) (verdict, error) {
	kstatus, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus cannot judge it: %w", err)
	}
	health, err := argocdHealth(object, script)
	if err != nil {
		return verdict{}, fmt.Errorf("the health script fails: %w", err)
	}
	return verdict{
		Kstatus:        kstatus.Status.String(),
		KstatusMessage: kstatus.Message,
		Argocd:         health.status,
		ArgocdMessage:  health.message,
	}, nil
}
