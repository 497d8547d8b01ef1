package start

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// Published is what the config.json of a Hugging Face directory says of its head.
type Published struct {
	Classes []string // their names, by output; nil if it does not say: LABEL_0 is no name
	Problem string   // single_label_classification, multi_label_classification or regression; empty if it does not say
}

// ReadPublished reads what a directory's config.json says of the head. One that is not there says nothing. One that cannot be read is
// an error, since the head's classes may stand in another order than the data's.
func ReadPublished(dir string) (Published, error) {
	path := filepath.Join(dir, run.ModelConfigFile)
	b, err := bound.ReadFile(path, bound.JSON)
	if errors.Is(err, fs.ErrNotExist) {
		return Published{}, nil
	} else if err != nil {
		return Published{}, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil || object == nil {
		return Published{}, fmt.Errorf("%s: is no JSON object (%w): is the file whole? fetch it again", path, cmp.Or(err, errNull))
	}
	var c struct {
		Names   map[string]string `json:"id2label"`
		IDs     map[string]int    `json:"label2id"`
		Problem string            `json:"problem_type"`
	}
	if json.Unmarshal(b, &c) != nil { // other values than transformers writes
		return Published{}, nil
	}
	if len(c.Names) == 0 {
		c.Names = map[string]string{}
		for name, id := range c.IDs {
			c.Names[strconv.Itoa(id)] = name
		}
	}
	return Published{Classes: classes(c.Names), Problem: c.Problem}, nil
}

var errNull = errors.New("null")

// OtherModel says what the config.json of a directory says otherwise of the model than that of another directory, of what no shape
// of a tensor tells. It is empty if there is nothing, or if a file cannot be read.
func OtherModel(dir, other string) string {
	read := func(dir string) (m map[string]any) {
		b, err := bound.ReadFile(filepath.Join(dir, run.ModelConfigFile), bound.JSON)
		if err != nil || json.Unmarshal(b, &m) != nil {
			return nil
		}
		return m
	}
	have, want := read(other), read(dir)
	for _, key := range []string{"model_type", "num_attention_heads", "hidden_act", "layer_norm_eps", "position_embedding_type"} {
		x, y := have[key], want[key]
		if x != nil && y != nil && x != y {
			return fmt.Sprintf("%s %v, not the %v", key, x, y)
		}
	}
	return ""
}

// classes returns the names by id, nil if there are none.
func classes(names map[string]string) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, len(names))
	for id, name := range names {
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= len(out) || strings.HasPrefix(name, "LABEL_") {
			return nil
		}
		out[i] = name
	}
	return out
}

// MatchClasses returns which of the classes have each of the classes want is. Names that differ in upper and lower case alone are one
// name, if no two of either list are. It returns nil unless each class is exactly one of the other list.
func MatchClasses(have, want []string) []int32 {
	if len(have) != len(want) {
		return nil
	}
	if rows := matchNames(have, want); rows != nil {
		return rows
	}
	return matchNames(folded(have), folded(want))
}

func matchNames(have, want []string) []int32 {
	rows, taken := make([]int32, len(want)), make([]bool, len(have))
	for i, name := range want {
		k := slices.Index(have, name)
		if k < 0 || taken[k] {
			return nil
		}
		rows[i], taken[k] = int32(k), true
	}
	return rows
}

func folded(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.ToLower(strings.TrimSpace(name))
	}
	return out
}
