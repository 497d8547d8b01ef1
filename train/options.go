package train

import (
	"errors"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/schedule"
)

// Options says how a model is trained: the `train:` section.
type Options struct {
	BatchSize    int              `yaml:"batch_size"`    // rows a step
	Epochs       int              `yaml:"epochs"`        // passes over the training rows, at most
	MaxSteps     int64            `yaml:"max_steps"`     // stop after this many steps; 0: no such limit
	LearningRate float64          `yaml:"learning_rate"` // the schedule's base
	Optimizer    optim.Options    `yaml:"optimizer"`     // sgd, adagrad, adam, adamw or rmsprop
	Schedule     schedule.Options `yaml:"schedule"`      // constant, linear, cosine, step or plateau
	// lazy: update the rows of the batch; dense: all rows each step, as PyTorch's dense optimizers do
	Embeddings string `yaml:"embeddings"`
	// batches of an optimizer step, whose gradient is the mean over all their rows; an epoch's last step has those that are
	// left
	GradientAccumulation int `yaml:"gradient_accumulation"`
	// virtual shards of a batch, a power of two: it is run in so many parts, each of which has its own statistics of batch norm, and is what
	// several processes are dealt: the same number gives the same bits on any number of them; 0: the batch is one
	Shards int `yaml:"shards,added"`
	// factor of the learning rate from a layer to the one below: the head has the whole rate, embeddings the least; 1: all
	// layers have it
	LayerDecay float64 `yaml:"layer_decay"`
	// factors of the learning rate for some parameters, such as [{match: ["classifier.*"], factor: 10}]; the last that
	// matches counts
	LearningRates []RateOptions `yaml:"learning_rates"`
	// patterns of parameters without weight decay, as in freeze; those of one dimension, such as biases and norms, never
	// have it
	NoDecay []string `yaml:"no_decay"`
	// L2 on embeddings and linear terms: adds l/2·|E|² to the loss (lazy: of the batch's rows)
	EmbeddingRegularizer float64 `yaml:"embedding_regularizer"`
	NetRegularizer       float64 `yaml:"net_regularizer"` // L2 on all other weights
	// L1 on embeddings and linear terms, with embeddings: lazy: adds l·|E| of the batch's rows to the loss
	EmbeddingL1 float64 `yaml:"embedding_l1,added"`
	NetL1       float64 `yaml:"net_l1,added"` // L1 on all other weights: adds l·|w|
	// patterns of the parameters that are not trained, such as ["embedding.*"]: * stands for any characters, ? for one;
	// !pattern takes out again, the last match decides
	Freeze      []string `yaml:"freeze"`
	MaxGradNorm float64  `yaml:"max_grad_norm"` // clip the gradient's global norm; 0: do not
	// metric of the validation rows that selection goes by, which may be a weighted sum of metrics, such as auc - 0.5*logloss; it is among the
	// task's; empty: the first of these
	Monitor   string  `yaml:"monitor"`
	Keep      string  `yaml:"keep"`       // best: the run's model is the best on validation rows; last: the last one
	Patience  int     `yaml:"patience"`   // stop after this many evaluations in a row without improvement; 0: never
	MinDelta  float64 `yaml:"min_delta"`  // smallest change of the monitored metric that counts as improvement
	EvalSteps int64   `yaml:"eval_steps"` // evaluate every so many steps; 0: after each epoch
	// of matrix products: highest has float32's error, high takes factors of 16 bits, medium of 8 (bf16), both with sums in
	// float32; they are faster where the processor has AMX, and medium on AMD's with AVX512-BF16; also of evaluations,
	// predictions and merges of the run
	Precision kernel.Precision `yaml:"precision,added"`
	// if freeze leaves nothing to train below the head of a text model, compute its features once and keep them in the
	// cache: the same results, sooner
	CacheFeatures bool `yaml:"cache_features,nodigest"`
	KeepEpochs    bool `yaml:"keep_epochs"` // write the weights after each epoch to epochs/model-N.safetensors
	// decay of a moving average of the weights over the steps, such as 0.999, for ema.safetensors; 0: none. Each step then
	// reads all weights, whole embedding tables included
	EMA float64 `yaml:"ema"`
	// epoch, from 1, from which on the weights at the epochs' ends are averaged for swa.safetensors; 0: none
	SWAStart        int   `yaml:"swa_start"`
	CheckpointSteps int64 `yaml:"checkpoint_steps,nodigest"` // save for --resume every so many steps; 0: after each evaluation
	LogSteps        int64 `yaml:"log_steps,nodigest"`        // log loss and rate every so many steps
}

// Defaults returns the options of a config without a `train:` section.
func Defaults() Options {
	return Options{
		BatchSize: 4096, Epochs: 10, LearningRate: 1e-3, Embeddings: "lazy", MaxGradNorm: 10,
		Keep: "best", Patience: 2, MinDelta: 1e-6, LogSteps: 100,
		GradientAccumulation: 1, LayerDecay: 1, CacheFeatures: true,
		Optimizer: must(optim.Types.Default("adam")), Schedule: must(schedule.Types.Default("constant")),
	}
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("train: a default type is not registered")
	}
	return v
}

// Validate reports every option out of range.
func (o Options) Validate() error {
	var late error
	if o.SWAStart > 0 && o.SWAStart > o.Epochs {
		late = registry.Field("swa_start", "must not be after the last epoch")
	}
	var dense error
	if o.EmbeddingL1 > 0 && o.Embeddings == "dense" {
		dense = registry.Field("embedding_l1", "is of the rows of a batch; set embeddings: lazy, or use embedding_regularizer")
	}
	return errors.Join(
		registry.AtLeast("batch_size", o.BatchSize, 1),
		registry.AtLeast("epochs", o.Epochs, 1),
		registry.AtLeast("max_steps", o.MaxSteps, 0),
		registry.Above("learning_rate", o.LearningRate, 0),
		registry.OneOf("embeddings", o.Embeddings, "lazy", "dense"),
		registry.AtLeast("gradient_accumulation", o.GradientAccumulation, 1),
		registry.InAbove("layer_decay", o.LayerDecay, 0, 1),
		patterns("no_decay", o.NoDecay),
		registry.AtLeast("embedding_regularizer", o.EmbeddingRegularizer, 0),
		registry.AtLeast("net_regularizer", o.NetRegularizer, 0),
		registry.AtLeast("embedding_l1", o.EmbeddingL1, 0),
		registry.AtLeast("net_l1", o.NetL1, 0),
		dense,
		o.validShards(),
		patterns("freeze", o.Freeze),
		registry.AtLeast("max_grad_norm", o.MaxGradNorm, 0),
		registry.AtLeast("patience", o.Patience, 0),
		registry.AtLeast("min_delta", o.MinDelta, 0),
		registry.AtLeast("eval_steps", o.EvalSteps, 0),
		registry.OneOf("keep", o.Keep, "best", "last"),
		registry.InBelow("ema", o.EMA, 0, 1),
		registry.AtLeast("swa_start", o.SWAStart, 0),
		late,
		registry.AtLeast("checkpoint_steps", o.CheckpointSteps, 0),
		registry.AtLeast("log_steps", o.LogSteps, 0),
	)
}

// validShards returns what is wrong with the shards.
func (o Options) validShards() error {
	switch v := o.Shards; {
	case v < 0 || v&(v-1) != 0 || v > mostShards:
		return registry.Field("shards", "must be 0 or a power of two, at most %d", mostShards)
	case v > 1 && o.BatchSize%v != 0:
		return registry.Field("shards", "must divide batch_size, and %d does not divide %d", v, o.BatchSize)
	case v > 1 && o.GradientAccumulation > 1:
		return registry.Field("shards", "do not go with gradient_accumulation, and need as little memory: set gradient_accumulation: 1, batch_size: %d "+
			"and shards: %d or more, a power of two", o.BatchSize*o.GradientAccumulation, v)
	}
	return nil
}

// mostShards bounds the virtual shards of a batch.
const mostShards = 4096

// Program returns the rows that a model is run with at once in training: those of a batch, or of one of its shards.
func (o Options) Program() int { return max(1, o.BatchSize/max(1, o.Shards)) }

// patterns checks patterns of parameters' names.
func patterns(key string, list []string) error {
	if _, err := nn.Match(list); err != nil {
		return registry.Field(key, "%v", err)
	}
	return nil
}

// Length says how long a training goes on, and how the learning rate changes over that time.
type Length struct {
	Epochs   int
	MaxSteps int64
	Schedule schedule.Options
	Patience int
}

// Length returns how long a training by o goes on.
func (o Options) Length() Length { return Length{o.Epochs, o.MaxSteps, o.Schedule, o.Patience} }

// Derive returns the options of another training by o's recipe, such as the one that goes on from a merge. How a step is made and
// how a model is chosen on validation rows stay as they are. The length is the new one. Options that only a run of its own can use
// are off: weights of its epochs, and averages of its weights.
func (o Options) Derive(l Length) Options {
	o.Epochs, o.MaxSteps, o.Schedule, o.Patience = l.Epochs, l.MaxSteps, l.Schedule, l.Patience
	o.KeepEpochs, o.EMA, o.SWAStart = false, 0, 0
	return o
}
