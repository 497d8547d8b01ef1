// Command launch starts the ranks of a training on several processes or machines:
//
//	bin/launch -n 2 train --config configs/criteo_deepfm.yaml --set train.shards=8
//
// It starts mpirun, or srun, and turns Ctrl-C and SIGTERM into SIGUSR1, which every launcher hands on to the ranks, and which has them write a
// checkpoint and end. Several launchers would kill them in the middle of that after Ctrl-C. A second Ctrl-C ends all at once.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

const (
	exitFailed   = 1
	exitBadInput = 2
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o := options{}
	f := flag.NewFlagSet("launch", flag.ContinueOnError)
	f.IntVar(&o.ranks, "n", 0, "number of `ranks`")
	f.StringVar(&o.hosts, "hosts", "", "`hosts` with their numbers of ranks, such as a:1,b:1 (default: this one)")
	f.StringVar(&o.by, "by", "mpirun", "`launcher`: mpirun, the name or file of another mpirun, or srun")
	f.StringVar(&o.mpi, "mpi", "", "of srun: its `plugin`, such as pmix for Open MPI or pmi2 for MPICH (default: Slurm's)")
	f.Usage = func() {
		fmt.Fprintf(os.Stderr, "launch: starts the ranks of a training\n\nusage: launch -n RANKS [flags] train [flags of train]\n")
		f.PrintDefaults()
	}
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitBadInput
	}
	c, err := o.command(f.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "launch:", err)
		return exitBadInput
	}
	return follow(c)
}

// follow runs the launcher to its end, and returns its exit code.
func follow(c *exec.Cmd) int {
	c.Stdout, c.Stderr = os.Stdout, os.Stderr // no input: reading a terminal from the background would stop mpirun
	detach(c)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "launch:", err)
		return exitFailed
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for asked := false; ; asked = true {
		select {
		case <-signals:
			if asked {
				_ = c.Process.Signal(syscall.SIGTERM) // it has ended if that fails
				continue
			}
			fmt.Fprintln(os.Stderr, "launch: the ranks stop after this step and write a checkpoint; again ends them at once")
			if err := stop(c.Process); err != nil {
				fmt.Fprintln(os.Stderr, "launch:", err)
			}
		case <-ended:
			code := c.ProcessState.ExitCode()
			if code < 0 {
				return exitFailed // by a signal
			}
			return code
		}
	}
}

// options say what is started, and by what.
type options struct {
	ranks          int
	by, hosts, mpi string
}

// command returns the launcher's command for a program and its arguments.
func (o options) command(program []string) (*exec.Cmd, error) {
	switch {
	case o.ranks < 1:
		return nil, errors.New("-n is missing: give the number of ranks, such as -n 2")
	case len(program) == 0:
		return nil, errors.New("there is nothing to start: give a command, such as train --config configs/criteo_deepfm.yaml")
	}
	by, err := exec.LookPath(o.by)
	if err != nil {
		return nil, fmt.Errorf("there is no %s: install an MPI (Debian: apt-get install openmpi-bin), or name another launcher with --by", o.by)
	}
	file, err := find(program[0])
	if err != nil {
		return nil, err
	}
	flags, env, err := o.flags(by)
	if err != nil {
		return nil, err
	}
	c := exec.Command(by, append(append(flags, file), program[1:]...)...)
	c.Env = append(os.Environ(), env...)
	return c, nil
}

// flags returns the launcher's flags, and variables for it. No rank is bound to a core: a rank uses all processors that its share of the
// host has.
func (o options) flags(by string) (flags, env []string, err error) {
	n := fmt.Sprint(o.ranks)
	if strings.HasPrefix(base(by), "srun") {
		flags = []string{"-n", n, "--cpu-bind=none", "--kill-on-bad-exit=1"}
		if o.mpi != "" {
			flags = append(flags, "--mpi="+o.mpi)
		}
		if o.hosts != "" {
			flags = append(flags, "-w", o.hosts)
		}
		return flags, nil, nil
	}
	if os.Geteuid() == 0 { // a container's user, whom Open MPI refuses else
		env = []string{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"}
	}
	version := exec.Command(by, "--version")
	version.Env = append(os.Environ(), env...)
	text, err := version.CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("%s --version: %w", by, err)
	}
	if strings.Contains(string(text), "open-mpi.org") {
		flags = []string{"-n", n, "--bind-to", "none", "--oversubscribe"}
		if o.hosts != "" {
			flags = append(flags, "--host", o.hosts)
			for _, v := range os.Environ() {
				if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "SPLICE_") {
					flags = append(flags, "-x", name)
				}
			}
		}
		return flags, env, nil
	}
	flags = []string{"-n", n, "-bind-to", "none"}
	if o.hosts != "" {
		flags = append(flags, "-hosts", o.hosts)
	}
	return flags, []string{"I_MPI_PIN=0"}, nil
}
