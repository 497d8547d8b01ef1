package configs_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
)

var update = flag.Bool("update", false, "write the messages of testdata/bad; review the diff")

// Every file of testdata/bad is refused with exactly the message of its .err file.
// go test ./configs -run Golden -update writes them.
func TestGoldenBad(t *testing.T) {
	t.Chdir(filepath.Join("testdata", "bad"))
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 60 {
		t.Errorf("%d bad configs", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			_, err := configs.Load(file, nil)
			if err == nil {
				t.Fatalf("%s: no error", file)
			}
			got := err.Error() + "\n"
			want := strings.TrimSuffix(file, ".yaml") + ".err"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			b, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(b) {
				t.Errorf("got\n%swant\n%s", got, b)
			}
		})
	}
}
