// Package token turns text into the ids of a published vocabulary, the same ids as the reference tokenizers give:
// WordPiece of BERT (vocab.txt, or tokenizer.json) and byte-level BPE of RoBERTa (vocab.json and merges.txt, or
// tokenizer.json). Train makes a WordPiece vocabulary from a corpus.
//
// # What is the library's, and what is ours
//
// A step is that of github.com/sugarme/tokenizer v0.3.0 where that gives the ids of the reference tokenizers, and ours where it does
// not. The counts are over the 273 texts of testdata/reference.json; TestLibrary holds them.
//
// The library's are:
//
//   - the pieces of a word: WordPiece (wordpiece.go),
//   - the places of texts and special tokens: TemplateProcessing (template.go). It is asked once, when a tokenizer is opened: to ask
//     it for each text takes five times as long as all other steps together,
//   - the characters that stand for bytes: GenerateBytesChar (bytelevel.go).
//
// Ours are:
//
//   - normalizing: BertNormalizer differs in 181 texts (82 if cased) and panics in three of these. It keeps tabs and line ends, and
//     strips accents of letters that it did not decompose. IsChinese misses 6,848 code points, since its table is not sorted.
//   - what is punctuation: IsBertPunctuation differs in 129 code points, and in others where a newer Go has a newer Unicode.
//   - splitting into words: BertPreTokenizer is right in all texts but for those code points, and takes a hundred times as long.
//   - byte-level words: ByteLevel differs in 43 texts. It keeps a run of white space whole, of which the last belongs to the next word.
//   - merging bytes: BPE merges equal pairs in the order of a heap, not from the left. Of one letter, repeated 1 to 40 times, 34 words
//     come out different.
//   - added tokens: AddedVocabulary differs in one text with BERT's and in two with RoBERTa's. It loses some where a text
//     has several, and takes no white space but ASCII's with <mask>.
//   - cutting: TruncateEncodings differs in 638 of 2,000 pairs of lengths. It always shortens the second text.
//   - pairs of RoBERTa: RobertaProcessing gives segment 1 to the second text, where 0 is right.
//   - training: WordPieceTrainer prints, breaks ties by chance, and writes an address in memory where ## should stand.
//
// The library calls log.Fatal and panic on what is wrong. So every file is checked here before anything is built from it, and what is
// wrong is an error with file and line. Only this package calls the library: with a vocabulary that has the unknown token, and with
// templates of which each token and id is known. While texts are encoded, only WordPiece is called. It reads and never writes, so that any
// number of goroutines share it.
//
// # Which Unicode
//
// What is a letter, a space, punctuation, a number, an accent, a lower case is said by tables.go, which tablegen writes: Unicode 15.0.0, but
// for what the reference tokenizers say otherwise. Normal forms are those of Unicode 9.0.0, as the reference's. So the Unicode of
// the Go that builds a program, and that of golang.org/x/text, change no ids; TestClasses holds that.
package token

// Tokenizer turns text into ids. All methods may be called by many goroutines at once.
type Tokenizer interface {
	// Encode appends the ids of one text with the special tokens around it, such as [CLS] text [SEP]. At most maxLen ids are
	// appended, for which the last ids of the text are cut. 0 is no limit. Each invalid byte of the text counts as one U+FFFD.
	Encode(dst *Encoding, maxLen int, text string) error

	// EncodePair appends the ids of two texts, such as [CLS] a [SEP] b [SEP]. Ids are cut from the longer text until both are
	// equally long, then from both ("longest first").
	EncodePair(dst *Encoding, maxLen int, a, b string) error

	// Vocab is the number of rows that a table of embeddings needs: one more than the greatest id.
	Vocab() int

	// Special returns the ids of the special tokens.
	Special() Special

	// Token returns the text of an id, "" of one that is not in the vocabulary.
	Token(id int32) string

	// ID returns the id of a token.
	ID(token string) (int32, bool)

	// Fingerprint is equal for tokenizers that were made of the same files. Of a tokenizer_config.json only what changes ids counts.
	Fingerprint() uint64

	// Save writes the files that the tokenizer was made of into a folder that exists, under their usual names.
	Save(dir string) error
}

// Encoding is a list of ids and, for each, the segment it belongs to: 0, or 1 for what belongs to the second text.
type Encoding struct {
	IDs      []int32
	Segments []int32
	Cut      int // ids that were cut off, over all calls
}

// Reset empties the encoding and keeps its memory.
func (e *Encoding) Reset() { e.IDs, e.Segments, e.Cut = e.IDs[:0], e.Segments[:0], 0 }

// Special is the ids of special tokens. An id is None where the vocabulary has no such token.
type Special struct {
	CLS  int32 // starts a text: [CLS] or <s>
	SEP  int32 // ends a text: [SEP] or </s>
	Pad  int32 // fills a row of a batch: [PAD] or <pad>
	Unk  int32 // stands for what is not in the vocabulary: [UNK] or <unk>
	Mask int32 // hides a token from a language model: [MASK] or <mask>
}

// None stands for the id of a token that the vocabulary does not have.
const None int32 = -1
