import io
import json
import pickle
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from dgemma_constrain.errors import VocabularyError
from dgemma_constrain.tokens import Vocabulary

CORPUS = [
    "The quick brown fox jumps over the lazy dog, doesn't it? It's 12:34!",
    '{"name": "Zoë", "tags": ["a", "b"], "n": -1.5e3}',
    "def main(argv):\n    return [x for x in argv]\n\n\n",
    "Съешь же ещё этих мягких французских булок. 私はガラスを食べられます。それは私を傷つけません。",
    "  two  spaces   three\ttab   日本語 🙂🙃 naïve façade",
] * 4
SPECIALS = ["<pad>", "<eos>", "<mask>"]
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
TEXTS = ["Hello, world!", " leading", "  two", "é世🙂\n\ttab", '{"a": [1, 2]}', "", " ", "don't stop", "ß\u0301\x00"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def gemma_like():
    """Spaces as ▁, byte fallback, and nothing dropped at the start."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*SPECIALS, "<unk>", *BYTE_TOKENS], show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    spec = json.loads(trained.to_str())
    spec["model"] |= {"byte_fallback": True, "fuse_unk": True}
    spec["added_tokens"] = [t for t in spec["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def llama_like():
    """As above, with the space that Llama puts before a text and takes away again."""
    tokenizer = gemma_like()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def unigram(prepend_scheme="always"):
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=[*SPECIALS, "<unk>"], unk_token="<unk>", show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    spec = json.loads(trained.to_str())
    spec["model"]["vocab"] += [[token, -20.0] for token in BYTE_TOKENS]
    spec["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    space = decoders.Metaspace(prepend_scheme=prepend_scheme)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), space])
    return tokenizer


def word_piece(cleanup=True):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    )
    return tokenizer


def word_level():
    words = ["<unk>", *sorted({word for line in CORPUS for word in line.split()})]
    return Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))


KINDS = {
    "byte-level BPE": byte_level(),
    "Gemma-like BPE": gemma_like(),
    "Llama-like BPE": llama_like(),
    "Unigram": unigram(),
    "Unigram, no first space": unigram("never"),
    "WordPiece": word_piece(),
    "WordPiece, no cleanup": word_piece(cleanup=False),
    "WordLevel, no decoder": word_level(),
}
PLAIN_START = {"WordPiece", "WordPiece, no cleanup", "Unigram"}  # where a first token may decode unlike any other
ANY_TEXT = ["byte-level BPE", "Gemma-like BPE", "Llama-like BPE", "Unigram", "Unigram, no first space"]


def random_sequences(vocabulary, kind, count=200):
    """Ordinary ids; no stray byte of a character, since byte fallback prints U+FFFD for each such byte."""
    chance = random.Random(1)
    ids = [i for i in range(len(vocabulary)) if not vocabulary.special[i]]
    if kind != "byte-level BPE":
        ids = [i for i in ids if "\ufffd" not in vocabulary.token_bytes(i).decode(errors="replace")]
    words = [i for i in ids if vocabulary.token_bytes(i).strip().isalpha()] if kind in PLAIN_START else ids
    words = [i for i in words if KINDS[kind].id_to_token(i)[:2] != "##"] or words
    for _ in range(count):
        yield [chance.choice(words), *chance.choices(ids, k=chance.randrange(12))]


@pytest.mark.parametrize("kind", KINDS)
def test_random_ids_decode_as_the_tokenizer_decodes_them(kind):
    vocabulary = Vocabulary.from_tokenizer(KINDS[kind])
    for ids in random_sequences(vocabulary, kind):
        assert vocabulary.decode(ids) == KINDS[kind].decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("kind", KINDS)
def test_special_ids_add_nothing_as_when_the_tokenizer_skips_them(kind):
    tokenizer, vocabulary = KINDS[kind], Vocabulary.from_tokenizer(KINDS[kind])
    specials = [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    for ids in random_sequences(vocabulary, kind, 50):
        mixed = [t for i in ids for t in (*specials, i)]
        assert vocabulary.decode(mixed) == vocabulary.decode(ids) == tokenizer.decode(mixed)


@pytest.mark.parametrize("kind", ANY_TEXT)
def test_texts_come_back_from_encode_as_they_went_in(kind):
    vocabulary = Vocabulary.from_tokenizer(KINDS[kind])
    for text in TEXTS:
        ids = vocabulary.encode(text)
        assert vocabulary.decode_bytes(ids) == text.encode()
        assert not vocabulary.special[ids].any()


BYTE_LEVEL, LLAMA_LIKE = (Vocabulary.from_tokenizer(KINDS[kind]) for kind in ("byte-level BPE", "Llama-like BPE"))


@settings(deadline=None)
@given(st.text())
def test_any_unicode_text_comes_back_from_encode_as_it_went_in(text):
    assert BYTE_LEVEL.decode_bytes(BYTE_LEVEL.encode(text)) == text.encode()
    assert LLAMA_LIKE.decode_bytes(LLAMA_LIKE.encode(text)) == text.encode()


def test_encode_is_the_tokenizers_own_where_that_gives_the_text_back():
    text = "The quick brown fox, naïve"
    own = KINDS["Gemma-like BPE"].encode(text, add_special_tokens=False).ids
    assert Vocabulary.from_tokenizer(KINDS["Gemma-like BPE"]).encode(text) == own
    # with "<eos>" in the text its own has an end in it
    spelled = BYTE_LEVEL.encode("stop <eos>")
    assert KINDS["byte-level BPE"].token_to_id("<eos>") in KINDS["byte-level BPE"].encode("stop <eos>").ids
    assert BYTE_LEVEL.decode(spelled) == "stop <eos>"


@pytest.mark.parametrize(
    "kind, strips",
    [("byte-level BPE", False), ("Gemma-like BPE", False), ("Llama-like BPE", True), ("Unigram", True)]
    + [("Unigram, no first space", False), ("WordPiece", True), ("WordLevel, no decoder", True)],
)
def test_whether_a_text_drops_its_first_space_is_the_decoders_say(kind, strips):
    assert Vocabulary.from_tokenizer(KINDS[kind]).strips_leading_space is strips


def test_bytes_are_those_for_the_middle_of_a_text():
    def read(kind, piece):
        return Vocabulary.from_tokenizer(KINDS[kind]).token_bytes(KINDS[kind].token_to_id(piece))

    assert read("byte-level BPE", "Ġthe") == b" the"
    assert read("byte-level BPE", "Ċ") == b"\n"
    assert read("byte-level BPE", "ł") == b"\xa0"
    assert read("Gemma-like BPE", "▁") == read("Gemma-like BPE", "<0x20>") == b" "
    assert read("Gemma-like BPE", "<0xE4>") == b"\xe4"
    assert read("WordPiece", "the") == b" the"
    assert read("WordPiece", ",") == b","
    assert read("WordPiece", "(") == b" ("
    assert read("WordPiece, no cleanup", ",") == b" ,"
    assert read("WordPiece", "##o") == b"o"


def test_the_unknown_id_is_never_text():
    for kind, piece in (("Gemma-like BPE", "<unk>"), ("Unigram", "<unk>"), ("WordLevel, no decoder", "<unk>")):
        assert Vocabulary.from_tokenizer(KINDS[kind]).token_bytes(KINDS[kind].token_to_id(piece)) is None


def test_added_tokens_are_text_unless_they_are_special():
    tokenizer = byte_level()
    tokenizer.add_tokens(["<tool>", AddedToken("two words", normalized=False), "café"])
    tokenizer.add_special_tokens(["yes", "<|control|>"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    ids = {token: tokenizer.token_to_id(token) for token in ("<tool>", "two words", "café", "yes", "<|control|>")}
    assert vocabulary.token_bytes(ids["<tool>"]) == b"<tool>"
    assert vocabulary.token_bytes(ids["two words"]) == b"two words"
    assert vocabulary.decode([ids["café"]]) == tokenizer.decode([ids["café"]])
    assert vocabulary.special[[ids["yes"], ids["<|control|>"]]].all()
    assert vocabulary.decode(vocabulary.encode("oh yes <|control|>")) == "oh yes <|control|>"


def test_holes_and_the_models_padding_are_special():
    pieces = {"a": 0, "b": 3, "<unk>": 5}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=8, eos_id=[6, 7])
    assert [vocabulary.token_bytes(i) for i in range(8)] == [b"a", None, None, b"b", None, None, None, None]
    assert vocabulary.eos_ids == (6, 7)
    with pytest.raises(VocabularyError, match="size is 4, but the tokenizer has 6 ids"):
        Vocabulary.from_tokenizer(tokenizer, size=4)


@pytest.mark.parametrize(
    "decoder, message",
    [
        (decoders.CTC(), "cannot read the decoder CTC"),
        (decoders.Replace(Regex("a+"), "b"), "regular expression"),
        (decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "c")]), "Replace decoder that works on the whole"),
        (decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 2, 0)]), "Strip decoder that works on the whole"),
        (decoders.Decoder.custom(object()), "cannot read the decoder"),
    ],
)
def test_a_decoder_that_depends_on_the_neighbours_is_refused_by_name(decoder, message):
    tokenizer = word_level()
    tokenizer.decoder = decoder
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_tokenizer(tokenizer)


@pytest.mark.parametrize("decoder", [decoders.Strip("▁", 1, 1), decoders.Replace("th", "TH"), decoders.Fuse()])
def test_decoders_of_one_token_are_read_on_their_own_too(decoder):
    tokenizer = Tokenizer(models.WordLevel({t: i for i, t in enumerate(["the", "▁the▁", "▁▁x", "th▁", "x▁x", "x"])}))
    tokenizer.decoder = decoder
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    for i in range(6):
        assert vocabulary.decode([0, i, 5]) == tokenizer.decode([0, i, 5])


def test_word_endings_become_spaces():
    tokenizer = Tokenizer(models.WordLevel({"low</w>": 0, "er</w>": 1, "low": 2}))
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.decode([0, 2, 1, 2]) == tokenizer.decode([0, 2, 1, 2]) == "low lower low"
    assert vocabulary.decode([2, 1]) == "lower "  # the tokenizer drops this last space


class Disagrees:
    """A tokenizer whose decode says otherwise than its pieces."""

    all_special_ids, eos_token_id, pad_token_id = [], None, None

    def __init__(self):
        self.backend_tokenizer = byte_level()
        self.wrong = self.backend_tokenizer.token_to_id("Ġthe")

    def encode(self, text, add_special_tokens):
        return self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids, skip_special_tokens, clean_up_tokenization_spaces):
        words = [" THE" if i == self.wrong else self.backend_tokenizer.decode([i]) for i in ids]
        return "".join(words)


def test_a_mismatch_names_the_id_the_bytes_and_what_the_tokenizer_says():
    tokenizer = Disagrees()
    with pytest.raises(VocabularyError) as error:
        Vocabulary.from_tokenizer(tokenizer)
    assert f"id {tokenizer.wrong} reads as b' the'" in str(error.value)
    assert " THE" in str(error.value)


def test_the_ready_made_classes_of_tokenizers_are_read_too():
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(CORPUS, vocab_size=400, show_progress=False)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.encode("the lazy dog") == tokenizer.encode("the lazy dog").ids


# transformers


def fast(kind, **roles):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=KINDS[kind], **roles)


@pytest.mark.parametrize("kind", ["byte-level BPE", "Gemma-like BPE", "Llama-like BPE", "Unigram"])
def test_a_fast_transformers_tokenizer_says_which_ids_end_pad_and_mask(kind):
    tokenizer = fast(kind, eos_token="<eos>", pad_token="<pad>", mask_token="<mask>")
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.eos_ids == (tokenizer.eos_token_id,)
    assert (vocabulary.pad_id, vocabulary.mask_id) == (tokenizer.pad_token_id, tokenizer.mask_token_id)
    assert len(vocabulary) == len(tokenizer)
    for ids in random_sequences(vocabulary, kind, 50):
        assert vocabulary.decode(ids) == tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again.encode("The quick fox") == tokenizer.encode("The quick fox", add_special_tokens=False)


def test_a_token_that_only_transformers_calls_special_is_special():
    vocabulary = Vocabulary.from_tokenizer(fast("byte-level BPE", eos_token="Ġthe"))
    assert vocabulary.eos_id == KINDS["byte-level BPE"].token_to_id("Ġthe")
    assert vocabulary.token_bytes(vocabulary.eos_id) is None


def python_tokenizer(pieces, to_string, **carries):
    """A tokenizer of transformers' in Python, as models ship them as remote code (Dream's and Qwen's are such)."""
    from transformers import PreTrainedTokenizer

    class Python(PreTrainedTokenizer):
        def __init__(self, **kwargs):
            self.__dict__.update(carries)
            super().__init__(**kwargs)

        vocab_size = len(pieces)

        def get_vocab(self):
            return {piece: i for i, piece in enumerate(pieces)} | self.added_tokens_encoder

        def _tokenize(self, text):
            return list(text)

        def _convert_token_to_id(self, token):
            return pieces.index(token) if token in pieces else None

        def _convert_id_to_token(self, index):
            return pieces[index]

        def convert_tokens_to_string(self, tokens):
            return to_string(tokens)

    tokenizer = Python(eos_token="<eos>")
    tokenizer.add_tokens(["<tool>"])
    return tokenizer


def test_a_python_tokenizer_with_a_byte_map_is_byte_level():
    trained = byte_level()
    pieces = [trained.id_to_token(i) for i in range(len(SPECIALS), trained.get_vocab_size())]
    letters = pre_tokenizers.ByteLevel.alphabet()
    table = {letter: ord(letter) for letter in letters if ord(letter) < 256}
    table |= dict(zip(sorted(set(letters) - set(table)), sorted(set(range(256)) - set(table.values())), strict=True))

    def to_string(tokens):
        return bytes(table[letter] for letter in "".join(tokens)).decode(errors="replace")

    tokenizer = python_tokenizer(pieces, to_string, byte_decoder=table)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.eos_ids == (len(pieces),) == (tokenizer.eos_token_id,)
    assert vocabulary.token_bytes(pieces.index("Ġthe")) == b" the"
    assert vocabulary.token_bytes(len(pieces) + 1) == b"<tool>"
    chance = random.Random(0)
    for _ in range(100):
        ids = chance.choices(range(len(pieces)), k=8)
        assert vocabulary.decode(ids) == tokenizer.decode(ids)
    assert vocabulary.decode(vocabulary.encode("naïve 🙂")) == "naïve 🙂"


def test_a_python_tokenizer_may_carry_mergeable_ranks():
    ranks = {b"a": 0, b" b": 1, b"\xc3": 2, b"\xa9": 3}
    by_piece = {repr(token): token for token in ranks}

    def to_string(tokens):
        return b"".join(by_piece.get(token, token.encode()) for token in tokens).decode(errors="replace")

    vocabulary = Vocabulary.from_tokenizer(python_tokenizer(list(by_piece), to_string, mergeable_ranks=ranks))
    assert [vocabulary.token_bytes(i) for i in range(6)] == [b"a", b" b", b"\xc3", b"\xa9", None, b"<tool>"]


def test_a_python_tokenizer_of_an_unknown_family_is_refused_by_name():
    with pytest.raises(VocabularyError, match="cannot read the Python tokenizer Python: it has no byte_decoder"):
        Vocabulary.from_tokenizer(python_tokenizer(["a", "b"], " ".join))


def test_a_python_tokenizer_around_sentencepiece(tmp_path):
    gpt_sw3 = pytest.importorskip("transformers.models.gpt_sw3.tokenization_gpt_sw3")
    (tmp_path / "spiece.model").write_bytes(sentencepiece_model(dummy_prefix=True))
    tokenizer = gpt_sw3.GPTSw3Tokenizer(str(tmp_path / "spiece.model"))
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.strips_leading_space
    assert vocabulary.eos_id == tokenizer.eos_token_id
    for text in ("The quick fox", "日本語 🙂"):
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == tokenizer.decode(ids) == text


def test_the_python_word_piece_tokenizer_of_bert(tmp_path):
    legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "low", "##er", "##est", ",", "new"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = legacy.BertTokenizerLegacy(str(tmp_path / "vocab.txt"))
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert (vocabulary.pad_id, vocabulary.mask_id) == (0, 4)
    assert vocabulary.decode([5, 6, 7, 9, 10, 8]) == "the lower , newest"
    assert vocabulary.encode("the lower") == [5, 6, 7]


# tiktoken, sentencepiece, files


def test_a_tiktoken_encoding():
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"th": 256, b"the": 257, b" the": 258, b"\xe4\xb8": 259}
    encoding = tiktoken.Encoding(
        "tiny", pat_str=r" ?\w+|\s+|.", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 261, "<|x|>": 262}
    )
    vocabulary = Vocabulary.from_tokenizer(encoding)
    assert (len(vocabulary), vocabulary.eos_ids) == (263, (261,))
    assert [vocabulary.token_bytes(i) for i in (258, 259, 260, 261, 262)] == [b" the", b"\xe4\xb8", None, None, None]
    chance = random.Random(0)
    for _ in range(100):
        ids = chance.choices(range(260), k=8)
        assert vocabulary.decode(ids) == encoding.decode(ids)
    for text in TEXTS + ["the <|endoftext|>"]:
        assert vocabulary.encode(text) == encoding.encode_ordinary(text)
        assert vocabulary.decode(vocabulary.encode(text)) == text
    assert pickle.loads(pickle.dumps(vocabulary)).encode(" the") == [258]


def sentencepiece_model(dummy_prefix):
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, vocab_size=420, byte_fallback=True, pad_id=3, minloglevel=2,
        add_dummy_prefix=dummy_prefix, remove_extra_whitespaces=False, user_defined_symbols=["<tool>"],
        normalization_rule_name="identity", hard_vocab_limit=False,
    )  # fmt: skip
    return model.getvalue()


@pytest.mark.parametrize("dummy_prefix", [True, False])
def test_a_sentencepiece_processor(dummy_prefix):
    model = sentencepiece_model(dummy_prefix)
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_proto=model)
    vocabulary = Vocabulary.from_tokenizer(processor)
    assert (vocabulary.eos_ids, vocabulary.pad_id) == ((processor.eos_id(),), 3)
    assert vocabulary.strips_leading_space is dummy_prefix
    assert vocabulary.token_bytes(processor.piece_to_id("<tool>")) == b"<tool>"
    assert vocabulary.token_bytes(processor.piece_to_id("<0xE4>")) == b"\xe4"
    for text in TEXTS:
        assert vocabulary.decode_bytes(vocabulary.encode(text)) == text.encode()
    assert vocabulary.encode("The quick fox") == processor.encode("The quick fox")


def test_a_file_or_folder_is_read_with_the_roles_beside_it(tmp_path):
    tokenizer = byte_level()
    tokenizer.enable_truncation(3)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Vocabulary.from_tokenizer(tmp_path / "tokenizer.json").eos_ids == ()
    roles = {"eos_token": "<eos>", "pad_token": {"content": "<pad>", "special": True}, "mask_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(roles))
    for path in (tmp_path, str(tmp_path), tmp_path / "tokenizer.json"):
        vocabulary = Vocabulary.from_tokenizer(path)
        assert (vocabulary.eos_ids, vocabulary.pad_id, vocabulary.mask_id) == ((1,), 0, None)
    assert len(vocabulary.encode("one two three four five six")) > 3
    assert vocabulary.fingerprint == Vocabulary.from_tokenizer(tokenizer, eos_id=1, pad_id=0).fingerprint


def test_what_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    for tokenizer, message in [
        (tmp_path, "no tokenizer at"),
        ("google/some-model", "no tokenizer at google/some-model; load it"),
        (tmp_path / "broken.json", "is not a tokenizer.json"),
        (3, "cannot read a int as a tokenizer"),
    ]:
        with pytest.raises(VocabularyError, match=message):
            Vocabulary.from_tokenizer(tokenizer)


def test_importing_tokens_imports_no_tokenizer_library():
    heavy = "{'torch', 'transformers', 'tokenizers', 'tiktoken', 'sentencepiece'}"
    code = f"import sys, dgemma_constrain.tokens.read_tokenizer; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
