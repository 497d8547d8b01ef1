package configs_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestDependencies holds that the table of docs/architecture.md has every module that go.mod and the tools' modules require directly, in
// the version in use, and no other.
func TestDependencies(t *testing.T) {
	want := direct(t, "go.mod")
	maps.Copy(want, direct(t, "models/ops/kernel/asm/go.mod"))
	maps.Copy(want, direct(t, ".ci/tools/go.mod"))
	delete(want, module)
	_, table, ok := strings.Cut(rooted(t, "docs/architecture.md"), "\n## Dependencies\n")
	if !ok {
		t.Fatal("docs/architecture.md has no section Dependencies")
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, " | ")
		name, ok := strings.CutPrefix(cells[0], "| `")
		if !ok {
			continue
		}
		if len(cells) != 5 {
			t.Errorf("row %q has %d cells, want 5", line, len(cells))
			continue
		}
		got[strings.TrimSuffix(name, "`")] = cells[2]
	}
	for name, version := range want {
		if got[name] != version {
			t.Errorf("docs/architecture.md: the table of dependencies has %s in version %q, want %q", name, got[name], version)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("docs/architecture.md: the table of dependencies has %s, which nothing requires directly", name)
	}
}

// rooted returns a file's text; path is relative to the module.
func rooted(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// direct returns the versions of the modules that a go.mod requires directly: those without the comment indirect, and those of tools.
func direct(t *testing.T, path string) map[string]string {
	t.Helper()
	text := rooted(t, path)
	tools := regexp.MustCompile(`(?m)^\t([^\s]+)$`).FindAllStringSubmatch(text, -1)
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)(.*)$`).FindAllStringSubmatch(text, -1) {
		indirect := strings.Contains(m[3], "// indirect")
		for _, tool := range tools {
			if tool[1] == m[1] || strings.HasPrefix(tool[1], m[1]+"/") {
				indirect = false
			}
		}
		if !indirect {
			out[m[1]] = m[2]
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s requires nothing directly", path)
	}
	return out
}

// TestLintVuln: what .ci/lint says of vulnerabilities, with a go command that answers as it would in three cases.
func TestLintVuln(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	for _, tc := range []struct {
		name          string
		reached, code string // exit codes of .ci/reached.go and of govulncheck
		fails         bool
		want          string
	}{
		{"no findings", "0", "0", false, "vuln: ok\n"},
		{"findings", "0", "3", true, "vuln: FAILED\nVulnerability #1\nlint failed: vuln\n"},
		{"an error", "0", "1", true, "vuln: FAILED\nVulnerability #1\nlint failed: vuln\n"},
		{"not reached", "1", "3", false, "vuln: skipped: the vulnerability database is not reached: no route to https://db.example\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bin := t.TempDir()
			script := "#!/bin/sh\ncase \"$*\" in\n*.ci/reached.go*) [ " + tc.reached + " = 0 ] || echo \"no route to $3\"; exit " + tc.reached +
				" ;;\n*\"govulncheck -db https://db.example ./...\") [ " + tc.code + " = 0 ] || echo 'Vulnerability #1'; exit " + tc.code + " ;;\nesac\nexit 9\n"
			if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "../.ci/lint", "vuln")
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOVULNDB=https://db.example")
			out, err := cmd.CombinedOutput()
			if (err != nil) != tc.fails || string(out) != tc.want {
				t.Errorf("%v\n got %s\nwant %s", err, out, tc.want)
			}
		})
	}
}

// TestRunNewest: .ci/run runs the short tests with the Go of .ci/newest-go, which README.md names, and says so where it cannot.
func TestRunNewest(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	newest := strings.TrimSpace(rooted(t, ".ci/newest-go"))
	minor := regexp.MustCompile(`^go(\d+\.\d+)\.\d+$`).FindStringSubmatch(newest)
	if minor == nil {
		t.Fatalf(".ci/newest-go is %q, want a release like go1.27.0", newest)
	}
	if !strings.Contains(rooted(t, "README.md"), "with "+minor[1]+", the newest release") {
		t.Errorf("README.md does not say that tests pass with %s", minor[1])
	}
	for _, tc := range []struct{ name, current, fetched, want string }{
		{"another", "go1.26.0", "0", "make test \nshort tests with NEWEST:\nmake short NEWEST\nmake mpi \n"},
		{"the same", newest, "0", "make test \nshort tests with NEWEST: skipped: all tests ran with it\nmake mpi \n"},
		{"no network", "go1.26.0", "1", "make test \nshort tests with NEWEST: skipped: it cannot be fetched: no such host\nmake mpi \n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bin := t.TempDir()
			for name, script := range map[string]string{
				"mpirun": "", // nothing is installed then
				"make":   "echo \"make $* $GOTOOLCHAIN\"\n",
				"go": "case \"$*\" in\n\"env GOVERSION\") echo " + tc.current + " ;;\nversion) [ " + tc.fetched +
					" = 0 ] || echo 'no such host' >&2; exit " + tc.fetched + " ;;\nesac\n",
			} {
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("sh", "../.ci/run")
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOTOOLCHAIN=")
			out, err := cmd.CombinedOutput()
			got, _, _ := strings.Cut(string(out), "fmt: ") // lint begins
			if want := strings.ReplaceAll(tc.want, "NEWEST", newest); err != nil || got != want {
				t.Errorf("%v\n got %s\nwant %s", err, out, want)
			}
		})
	}
}
