// Command reached tells whether a vulnerability database answers: exit code 0 if so, 1 with the reason if not. Run as go run .ci/reached.go URL.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run .ci/reached.go URL")
		os.Exit(2)
	}
	if err := reached(strings.TrimSuffix(os.Args[1], "/")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func reached(database string) error {
	const index = "/index/db.json"
	if dir, ok := strings.CutPrefix(database, "file://"); ok {
		_, err := os.Stat(filepath.FromSlash(dir + index))
		return err
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(database + index)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answers %s", database, index, answer.Status)
	}
	return nil
}
