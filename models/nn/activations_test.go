package nn_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

func TestActivations(t *testing.T) {
	relu, dice, prelu := nn.Activation{Act: kernel.ReLU}, nn.Activation{Dice: true}, nn.Activation{PReLU: true}
	for _, tc := range []struct {
		yaml   string
		layers int
		want   []nn.Activation // or
		bad    string
	}{
		{"a: relu", 3, []nn.Activation{relu, relu, relu}, ""},
		{"a: [relu, Dice, PReLU]", 3, []nn.Activation{relu, dice, prelu}, ""},
		{"a: 'dice,relu'", 2, []nn.Activation{dice, relu}, ""},
		{"a: [relu, dice]", 3, nil, "has 2 activations for 3 layers; want one for all, or one for each"},
		{"a: [relu, gelu]", 2, nil, `unknown activation "gelu": want none, relu, tanh, sigmoid, dice or prelu`},
		{"a: gelu", 0, nil, `unknown activation "gelu"`},
		{"a: [relu, 3]", 2, nil, "want text, have a list"},
	} {
		var o struct {
			A nn.Activations `yaml:"a"`
		}
		p := &registry.Problems{File: "x.yaml"}
		registry.DecodeStruct(registry.Parse([]byte(tc.yaml), p), &o, p, "")
		err := p.Err()
		var got []nn.Activation
		if err == nil {
			got, err = o.A.Parse(tc.layers)
		}
		if tc.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tc.bad) {
				t.Errorf("%s: error %v, want %s", tc.yaml, err, tc.bad)
			}
			continue
		}
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("%s: %v %v", tc.yaml, got, err)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%s: layer %d has %v, want %v", tc.yaml, i, got[i], tc.want[i])
			}
		}
	}
}
