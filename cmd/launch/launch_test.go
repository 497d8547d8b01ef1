//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fake writes a program that prints a text, and returns its path.
func fake(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+text+"'\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommand holds the commands of each launcher, and what cannot be started.
func TestCommand(t *testing.T) {
	t.Setenv("SPLICE_KERNEL", "avx2")
	open, hydra, srun := fake(t, "mpirun", "mpirun (OpenRTE) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/"), fake(t, "mpiexec", "HYDRA build details:"), fake(t, "srun", "")
	program := []string{"./train-mpi", "--config", "x.yaml"}
	for _, tc := range []struct {
		o       options
		program []string
		want    string // of the command after the launcher, or of the error
	}{
		{options{ranks: 2, by: open}, program, "-n 2 --bind-to none --oversubscribe ./train-mpi --config x.yaml"},
		{
			options{ranks: 2, by: open, hosts: "a:1,b:1"},
			program,
			"-n 2 --bind-to none --oversubscribe --host a:1,b:1 -x SPLICE_KERNEL ./train-mpi --config x.yaml",
		},
		{options{ranks: 3, by: hydra, hosts: "a,b"}, program, "-n 3 -bind-to none -hosts a,b ./train-mpi --config x.yaml"},
		{
			options{ranks: 4, by: srun, mpi: "pmi2"},
			program,
			"-n 4 --cpu-bind=none --kill-on-bad-exit=1 --mpi=pmi2 ./train-mpi --config x.yaml",
		},
		{options{by: open}, program, "-n is missing"},
		{options{ranks: 2, by: open}, nil, "there is nothing to start"},
		{options{ranks: 2, by: "no-such-mpirun"}, program, "there is no no-such-mpirun: install an MPI"},
		{options{ranks: 2, by: open}, []string{"no-such-program"}, "there is no program no-such-program"},
	} {
		c, err := tc.o.command(tc.program)
		if err != nil {
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v: %v, want %s", tc.o, err, tc.want)
			}
			continue
		}
		if got := strings.Join(c.Args[1:], " "); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.o, got, tc.want)
		}
	}
}

// TestExitCode holds that the launcher's exit code is launch's.
func TestExitCode(t *testing.T) {
	path := fake(t, "srun", "")
	for _, code := range []string{"0", "3", "130"} {
		if err := os.WriteFile(path, []byte("#!/bin/sh\nexit "+code+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		if got := run([]string{"-n", "2", "--by", path, "./x"}); strconv.Itoa(got) != code {
			t.Errorf("exit code %d, want %s", got, code)
		}
	}
	if got := run([]string{"-n", "2"}); got != exitBadInput {
		t.Errorf("without a program: exit code %d, want %d", got, exitBadInput)
	}
}
