"""The hierarchical losses, sentence by sentence from the equations, are the flat model's negative log-likelihood."""

import pytest
import torch
from torch.nn import functional

from xpronet.model.report_model import Patches
from xpronet.rivals.flat import NEVER


def words_cost(model, logits, word):
    ordinary = logits.masked_fill(~model.ordinary, -torch.inf)
    return functional.cross_entropy(ordinary.flatten()[None], torch.tensor([word]))


def split(model, words):
    """Return the sentences of one report as ids: words with their full stop, or one template, behind their mark."""
    sentences, current = [], []
    for word in words[1:].tolist():
        if word == model.eos:
            break
        current.append(word)
        if word == model.full_stop or model.closes[word]:
            sentences.append(current)
            current = []
    assert not current
    return sentences


def blank(model):
    return torch.zeros(1, 1, model.settings.width)


def embedded(model, word):
    return model.word_embedding(torch.tensor([[word]]))


def coat(model, encoded, sentences):
    state, cell, cost = blank(model), blank(model), 0.0
    for sentence in [*sentences, None]:
        before = state
        seen = model.region_attention(state, encoded.regions, encoded.region_keys, encoded.mask).context
        tags = model.tag_attention(state, encoded.tags, encoded.tag_keys).context
        context = model.join(torch.cat([seen, tags], -1))
        state, cell = model.sentence(context, state, cell)
        stop = model.stop(torch.tanh(model.stop_of_before(before) + model.stop_of_state(state)))
        cost += functional.cross_entropy(stop[0], torch.tensor([int(sentence is not None)]))
        topic = torch.tanh(model.topic_of_state(state) + model.topic_of_context(context))
        word_state = model.word(embedded(model, model.bos), *model.word(topic, blank(model), blank(model)))
        for word in sentence or ():
            cost += words_cost(model, model.word_output(word_state[0]), word)
            word_state = model.word(embedded(model, word), *word_state)
    return cost


def hrgr(model, encoded, sentences):
    state, cell, cost, previous = blank(model), blank(model), 0.0, model.bos
    for sentence in [*sentences, None]:
        seen = model.sentence_attention(state, encoded.regions, encoded.sentence_keys, encoded.mask).context
        state, cell = model.sentence(seen, state, cell)
        topic = model.topic(state).sigmoid()
        ended = torch.tensor([[[float(sentence is None)]]])
        cost += functional.binary_cross_entropy_with_logits(model.stop(state), ended)
        if sentence is None:
            return cost
        template = sentence[0] - model.first_phrase + 1 if sentence[0] >= model.first_phrase else 0
        cost += functional.cross_entropy(model.policy(topic)[0], torch.tensor([template]))
        word_state, read = (blank(model), blank(model)), previous
        for word in () if template else sentence:
            seen = model.word_attention(word_state[0], encoded.regions, encoded.word_keys, encoded.mask).context
            word_state = model.word(torch.cat([embedded(model, read), topic, seen], -1), *word_state)
            cost += words_cost(model, model.word_output(word_state[0]), word)
            read = word
        previous = model.full_stop


def cmas(model, encoded, sentences):
    plan, cell, local, cost = blank(model), blank(model), blank(model), 0.0
    for sentence in [*sentences, None]:
        context = model.plan_attention(plan, encoded.regions, encoded.sentence_keys, encoded.mask).context
        plan, cell = model.planner(torch.cat([context, local], -1), plan, cell)
        writer = 0 if sentence is None else sentence[0] - model.first_phrase + 1
        cost += functional.cross_entropy(model.choice(torch.cat([plan, context], -1))[0], torch.tensor([writer]))
        if sentence is None:
            return cost
        number = writer - 1
        local, local_cell = torch.tanh(model.starts[number](plan)), blank(model)
        for read, word in zip(sentence, [*sentence[1:], None], strict=True):
            local, local_cell = model.writers[number](
                torch.cat([embedded(model, read), context], -1), local, local_cell
            )
            if word is not None:
                cost += words_cost(model, model.word_outputs[number](local), word)


def kerp(model, encoded, sentences):
    state, cell, cost, present = blank(model), blank(model), 0.0, functional.logsigmoid(encoded.node_logits)
    for sentence in [*sentences, None]:
        seen = model.sentence_attention(state, encoded.nodes, encoded.sentence_keys, bias=present).context
        state, cell = model.sentence(seen, state, cell)
        ended = torch.tensor([[[float(sentence is None)]]])
        cost += functional.binary_cross_entropy_with_logits(model.stop(state), ended)
        if sentence is None:
            return cost
        topic, template = model.topic(state).sigmoid(), sentence[0] - model.first_phrase
        cost += functional.cross_entropy(model.policy(topic)[0], torch.tensor([template]))
        ids = [model.first_phrase, *[]] if template == 0 else model.derived["template_ids"][template - 1]
        text = model.word_embedding(torch.tensor([ids]))
        word_state = (blank(model), blank(model))
        for read, word in zip(sentence, [*sentence[1:], None], strict=True):
            guided = model.template_attention(word_state[0], text, model.template_attention.key(text)).context
            nodes = model.word_attention(word_state[0], encoded.nodes, encoded.word_keys, bias=present).context
            word_state = model.word(torch.cat([embedded(model, read), topic, guided, nodes], -1), *word_state)
            if word is not None:
                cost += words_cost(model, model.word_output(word_state[0]), word)


def sentsat_kg(model, encoded, sentences):
    overall = encoded.nodes[:, :1]
    state, cell = model.start_state(overall), model.start_cell(overall)
    word_state, cost, read = (blank(model), blank(model)), 0.0, model.bos
    candidates = model.ordinary | model.ends
    for sentence in [*sentences, [model.eos]]:
        context = model.attention(state, encoded.nodes, encoded.keys).context
        state, cell = model.sentence(context, state, cell)
        for word in sentence:
            word_state = model.word(torch.cat([embedded(model, read), state, context], -1), *word_state)
            # EOS is a candidate where a sentence may begin only.
            allowed = candidates if read in (model.bos, model.full_stop) else model.ordinary
            logits = model.word_output(word_state[0]).masked_fill(~allowed, -torch.inf)
            cost += functional.cross_entropy(logits[0], torch.tensor([word]))
            read = word
    return cost


FORMS = {"coat": coat, "hrgr": hrgr, "cmas": cmas, "kerp": kerp, "sentsat_kg": sentsat_kg}


def test_the_hierarchical_loss_is_the_flat_likelihood(hierarchical, pad, patches, findings):
    model, _ = hierarchical
    reports = pad(hierarchical)
    with torch.inference_mode():
        logits = model.read(patches, reports[:, :-1], findings).logits
        costs = functional.cross_entropy(logits.flatten(0, 1), reports[:, 1:].flatten(), reduction="none")
        costs = (costs.view(len(reports), -1) * (reports[:, 1:] != model.padding)).sum(1)
        for row in range(len(reports)):
            one = Patches(patches.features[row : row + 1], patches.mask[row : row + 1])
            encoded = model.encode(one, findings[row : row + 1])
            sentences = split(model, reports[row])
            assert 2 < len(sentences) < model.most_sentences
            expected = FORMS[model.settings.name](model, encoded, sentences)
            torch.testing.assert_close(costs[row], expected.reshape(()), rtol=1e-5, atol=1e-4)


def test_a_report_ends_at_a_boundary_only(hierarchical, pad, patches, findings):
    model, _ = hierarchical
    reports = pad(hierarchical)
    with torch.inference_mode():
        logits = model.read(patches, reports, findings).logits
    boundary = model.closes[reports]
    boundary[:, 0] = True
    ends = logits[..., model.eos]
    real = (reports != model.padding) & (boundary.cumsum(1) <= model.most_sentences)
    assert (ends[boundary & real] > -50).all()
    assert (ends[~boundary & real & (reports != model.eos)] == NEVER).all()
    phrases = logits[..., model.first_phrase :]
    assert (phrases[~boundary] == NEVER).all()
    assert (phrases[boundary & real] > -50).all()


def test_sentences_and_their_number_are_limited(hierarchical, patches, findings):
    model, _ = hierarchical
    word = int(model.ordinary.nonzero()[-1])
    mark = [model.first_phrase] if model.silent.any() else []
    endless = torch.tensor([[model.bos, *mark, *[word] * 40]]).expand(4, -1)
    stops = torch.tensor([[model.bos, *[*mark, word, model.full_stop] * 12]]).expand(4, -1)
    with torch.inference_mode():
        forced = model.read(patches, endless, findings).logits[:, len(mark) + model.most_words].softmax(-1)
        ended = model.read(patches, stops, findings).logits[:, (2 + len(mark)) * model.most_sentences].softmax(-1)
    torch.testing.assert_close(forced[:, model.full_stop], torch.ones(4))
    torch.testing.assert_close(ended[:, model.eos], torch.ones(4))


def test_with_the_policy_on_templates_a_report_is_a_list_of_them(make_rival, patches, findings):
    model, _ = make_rival("hrgr")
    with torch.no_grad():
        model.policy.bias[0] = -100.0
        model.stop.bias[0] = -100.0
    words = torch.full((4, 1), model.bos)
    with torch.inference_mode():
        decoding = model.start_decoding(model.encode(patches, findings), num_beams=1, max_words=9)
        for _ in range(5):
            words = decoding.step(words, None).argmax(-1)
            assert (words >= model.first_phrase).all()


@pytest.mark.parametrize("name", ["coat", "sentsat_kg", "kerp"])
def test_its_own_losses_reach_its_findings(name, make_rival, pad, patches, findings):
    rival = make_rival(name)
    model, _ = rival
    outputs = model.read(patches, pad(rival)[:, :-1], findings)
    assert set(outputs.extra_losses) == {"coat": {"tags", "spread"}}.get(name, {"nodes"})
    sum(outputs.extra_losses.values()).backward()
    layer = model.tag_output if name == "coat" else model.node_output
    assert layer.weight.grad.abs().sum() > 0
    model.zero_grad()
