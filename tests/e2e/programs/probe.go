// The one program of the tests' own image: what holds a pod's namespaces, and a client inside a pod.
//
//	probe           sleeps until it is told to end
//	probe get URL   prints the status of the answer; ends with 1 if there is none within two seconds
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "get" {
		client := http.Client{Timeout: 2 * time.Second}
		answer, err := client.Get(os.Args[2])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(answer.StatusCode)
		return
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
