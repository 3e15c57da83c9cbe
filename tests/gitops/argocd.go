package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Argo CD gives a script this long.
const scriptTimeout = time.Second

// hookFinalizer is on what Argo CD runs as a hook.
const hookFinalizer = "argocd.argoproj.io/hook-finalizer"

type health struct {
	status, message string
}

// argocdHealth is what Argo CD shows for an object whose kind has this health script: its own verdict on
// whatever is being deleted (gitops-engine/pkg/health), else the script's, run with the interpreter and the
// libraries of util/lua, less its two functions of time. Where Argo CD would show Unknown this is an error.
func argocdHealth(object *unstructured.Unstructured, script string) (health, error) {
	if object.GetDeletionTimestamp() != nil && !slices.Contains(object.GetFinalizers(), hookFinalizer) {
		return health{"Progressing", "Pending deletion"}, nil
	}
	return scriptHealth(object, script)
}

func scriptHealth(object *unstructured.Unstructured, script string) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		open := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(open, lua.LString(library.name)); err != nil {
			return health{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	return fromLua(state.Get(-1))
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		list := state.NewTable()
		for _, item := range value {
			list.Append(toLua(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}

func fromLua(returned lua.LValue) (health, error) {
	table, ok := returned.(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("it returns a %s, and Argo CD wants a table", returned.Type())
	}
	status, ok := table.RawGetString("status").(lua.LString)
	if !ok || !slices.Contains([]string{"Healthy", "Progressing", "Degraded", "Suspended"}, string(status)) {
		return health{}, fmt.Errorf("its status is %q, which Argo CD does not know", table.RawGetString("status"))
	}
	switch message := table.RawGetString("message").(type) {
	case lua.LString:
		return health{string(status), string(message)}, nil
	case *lua.LNilType:
		return health{string(status), ""}, nil
	default:
		return health{}, fmt.Errorf("its message is a %s, and Argo CD wants a string", message.Type())
	}
}
