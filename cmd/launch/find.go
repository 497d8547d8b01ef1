package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func base(path string) string { return filepath.Base(path) }

// find returns the file of a command. A name alone is that of one built with MPI beside this program, such as train for bin/train-mpi, or
// of a program in PATH.
func find(name string) (string, error) {
	if base(name) != name {
		return name, nil
	}
	var tried []string
	if self, err := os.Executable(); err == nil {
		for _, file := range []string{name + "-mpi", name} {
			path := filepath.Join(filepath.Dir(self), file)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path, nil
			}
			tried = append(tried, path)
		}
	}
	for _, file := range []string{name + "-mpi", name} {
		if path, err := exec.LookPath(file); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no program %s (tried %v and PATH): build it by make build-mpi, or give its path", name, tried)
}
