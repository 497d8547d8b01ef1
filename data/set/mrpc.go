package set

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// Files of MRPC as they are published: the corpus' train file, and the ids of those of its pairs that are the benchmark's dev part.
const (
	mrpcAll = "msr_paraphrase_train.txt"
	mrpcIDs = "mrpc_dev_ids.tsv"

	mrpcLimit = 64 << 20 // bytes; those of the files are 1 MB
)

// splitMRPC makes train.tsv and dev.tsv, the benchmark's, of the published files in a folder, if it has those and no dev.tsv.
func splitMRPC(dir string) error {
	if bound.Exists(filepath.Join(dir, "dev.tsv")) {
		return nil
	}
	ids, err := bound.ReadFile(filepath.Join(dir, mrpcIDs), mrpcLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // what is missing is said where the files are looked for
	}
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	all, err := bound.ReadFile(filepath.Join(dir, mrpcAll), mrpcLimit)
	if err != nil {
		return fmt.Errorf("data: %w; want the file of which %s names the dev part", err, mrpcIDs)
	}
	dev := map[string]bool{}
	for line := range strings.Lines(string(ids)) {
		dev[strings.TrimSpace(line)] = true
	}
	var parts [2][]byte
	n := 0
	for line := range bytes.Lines(all) {
		cells := strings.SplitN(string(line), "\t", 4)
		switch {
		case len(parts[0]) == 0: // header
			parts[0], parts[1] = append(parts[0], line...), append(parts[1], line...)
		case len(cells) < 4 || !dev[cells[1]+"\t"+cells[2]]:
			parts[0] = append(parts[0], line...)
		default:
			parts[1] = append(parts[1], line...)
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("data: %s: none of its pairs is in %s: the files do not belong together", filepath.Join(dir, mrpcIDs), mrpcAll)
	}
	for i, name := range []string{"train.tsv", "dev.tsv"} { // dev.tsv last: it says that both are there
		err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := w.Write(parts[i])
			return err
		})
		if err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	return nil
}
