package ctr_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// TestCrossesOptions: every option out of range is told at once, by its key.
func TestCrossesOptions(t *testing.T) {
	bad := ctr.Tower{HiddenActivations: "relus", NetDropout: 1}
	for _, tc := range []struct {
		m    registry.Validator
		want string
	}{
		{ctr.GDCN{ModelStructure: "beside", Tower: bad}, "embedding_dim num_cross_layers hidden_units hidden_activations net_dropout model_structure"},
		{
			ctr.MaskNet{HiddenUnits: []int{3, 0}, HiddenActivations: "dice", NetDropout: -1},
			"embedding_dim model_structure hidden_units.1 reduction_ratio parallel_num_blocks parallel_block_dim net_dropout hidden_activations",
		},
		{
			ctr.FinalMLP{
				EmbeddingDim: 4, MLP1HiddenUnits: []int{8}, MLP1HiddenActivations: "relu, relu", MLP2HiddenUnits: []int{9}, MLP2Dropout: 2,
				FSHiddenUnits: []int{-1}, NumHeads: 2,
			},
			"mlp1_hidden_activations mlp2_dropout fs_hidden_units.0 num_heads",
		},
		{ctr.FinalMLP{EmbeddingDim: 4}, "mlp1_hidden_units mlp2_hidden_units num_heads"},
		{
			ctr.FinalNet{BlockType: "3B", Block1HiddenUnits: []int{4, 5}, Block1Dropout: 1, Block2HiddenUnits: []int{0}, ResidualType: "concat"},
			"embedding_dim block_type block1_dropout block2_hidden_units block1_hidden_units.1",
		},
		{ctr.FinalNet{EmbeddingDim: 1, BlockType: "2B", Block1HiddenUnits: []int{5}, Block2HiddenUnits: []int{3}, ResidualType: "sum"}, ""},
		{ctr.QNN{EmbeddingDim: 5, NumHeads: 2, NetDropout: 1}, "num_layers num_row net_dropout num_heads"},
		{
			ctr.FCN{EmbeddingDim: 3, DeepNetDropout: 1, ShallowNetDropout: -.1},
			"num_deep_cross_layers num_shallow_cross_layers deep_net_dropout shallow_net_dropout num_heads embedding_dim",
		},
	} {
		var got []string
		if err := tc.m.Validate(); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				got = append(got, strings.SplitN(line, ":", 2)[0])
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%T: mistakes of %v, want %s", tc.m, got, tc.want)
		}
	}
	for _, name := range []string{"gdcn", "masknet", "finalmlp", "finalnet", "qnn", "fcn"} {
		m, ok := models.Registry.Default(name)
		if !ok {
			t.Fatalf("%s is not registered", name)
		}
		if err := m.(registry.Validator).Validate(); err != nil {
			t.Errorf("defaults of %s: %v", name, err)
		}
	}
}

// TestCrossesColumns: a context that the data has not, and columns of another width where products need one, are told when the graph is
// built.
func TestCrossesColumns(t *testing.T) {
	m := crosses()
	context := m["finalmlp/contexts"].(ctr.FinalMLP)
	context.FS2Context = []string{"shop"}
	for _, tc := range []struct {
		m    models.Model
		sc   *data.Schema
		want string
	}{
		{context, modeltest.Schema(), "gate2: the data has no column shop"},
		{m["masknet/serial"], modeltest.Widths(), "these columns have another one: n3 (3)"},
		{m["finalnet/2B"], modeltest.Widths(), "these columns have another one: n3 (3)"},
		{m["qnn/heads"], modeltest.Widths(), "these columns have another one: n3 (3)"},
		{m["fcn"], modeltest.Widths(), "these columns have another one: n3 (3)"},
	} {
		if _, err := models.NewParams(tc.m, tc.sc, 1); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%T: error %v, want %s", tc.m, err, tc.want)
		}
	}
}

// TestCrossesOutputs: those whose last layer is linear give a logit for each class.
func TestCrossesOutputs(t *testing.T) {
	sc := modeltest.Schema()
	sc.Labels = []data.Label{{Name: "stars", Classes: []string{"one", "two", "three"}}}
	for name, m := range crosses() {
		want := 3
		if slices.ContainsFunc([]string{"fcn", "finalmlp", "finalnet"}, func(one string) bool { return strings.HasPrefix(name, one) }) {
			want = 1
		}
		prog, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: 2})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := prog.Run(modeltest.Batch(sc, 2, 2, 1), 0); err != nil {
			t.Fatal(err)
		}
		if got := len(prog.Logits()) / 2; got != want {
			t.Errorf("%s gives %d logits a row, want %d", name, got, want)
		}
		prog.Close()
	}
}

// TestCrossesLossesAreOfTraining: in training the loss is larger by what the model adds; when it scores, it is that of the logits alone, and
// the logits are the same.
func TestCrossesLossesAreOfTraining(t *testing.T) {
	sc := modeltest.Schema()
	b := modeltest.Batch(sc, 4, 4, 1)
	for _, name := range []string{"fcn", "finalnet/sum"} {
		p := nn.NewParams(1)
		want := 0.0
		var logits []float32
		for _, train := range []bool{false, true} {
			prog, err := models.Compile(crosses()[name], p, sc, models.CompileOptions{Batch: 4, Train: train, Loss: modeltest.BCE})
			if err != nil {
				t.Fatal(err)
			}
			if !train {
				for _, q := range p.All() {
					if q.Embedding {
						kernel.Scale(q.Data, q.Data, 5000)
					}
				}
			}
			loss, err := prog.Run(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !train {
				logits = slices.Clone(prog.Logits())
				for i, z := range logits {
					want += math.Log1p(math.Exp(float64(z))) - float64(z*b.Label[i])
				}
				want /= 4
			}
			if math.Abs(loss-want) < 1e-6*want == train || loss < want-1e-6 {
				t.Errorf("%s, training %v: loss %v, that of the logits is %v", name, train, loss, want)
			}
			if !slices.Equal(prog.Logits(), logits) {
				t.Errorf("%s: logits %v in training, %v outside", name, prog.Logits(), logits)
			}
			prog.Close()
		}
	}
}
