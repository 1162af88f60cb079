// From a row of scores to ranks, repeats and lists: what evaluation/ranker.py does with PyTorch, a row at a time.
#pragma once

#include <vector>

#include "lanes.hpp"

namespace {

constexpr int K = MAX_K;  // recommendations listed, as in evaluation/ranks.py

struct Cases {  // the same as in native/evaluation.py
  const int32_t *tokens;   // of all users, one after the other
  const int64_t *ends;     // (rows,) where each case's target stands in it, behind its history
  const int64_t *firsts;   // (rows,) where its user's tokens begin
  int64_t rows, recent, vocabulary, candidates;  // the `recent` tokens before a target are its window
};

struct Ranks {
  int32_t *rank_none, *rank_window, *rank_history;                                         // (rows,)
  uint8_t *window_repeats_none, *history_repeats_none, *history_repeats_window;            // (rows, K)
  int32_t *top_none, *top_window, *top_history;                                            // (rows, K)
};

// A score and its token as one number: the smaller, the better; of equal scores the lower token is better.
inline uint64_t key_of(float score, int64_t token) {
  score += 0.0f;  // −0 is 0
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof(bits));
  const uint32_t descending = bits >> 31 ? bits : ~(bits | 0x80000000u);
  return (uint64_t)descending << 32 | (uint32_t)token;
}
inline int32_t token_of(uint64_t key) { return (int32_t)(uint32_t)key; }

// A row of scores, looked at once: then ranks are counted and the best are found without looking at most of it again.
class Row {
 public:
  // Scores are dealt into buckets: `DEPTH` vectors one behind the other, of which each lane is one, and the rest alone.
  static constexpr int64_t DEPTH = 16, DEAL = DEPTH * LANES;

  // False where a score is not a number.
  bool read(const float *scores, int64_t count, float target_score) {
    scores_ = scores;
    count_ = count;
    tops_.clear();
    I not_behind{}, odd{};
    const int64_t dealt = count / DEAL * DEAL;
    for (int64_t first = 0; first < dealt; first += DEAL) {
      V top = *(const Unaligned *)(scores + first);
      for (int64_t v = first; v < first + DEAL; v += LANES) {
        const V x = *(const Unaligned *)(scores + v);
        not_behind -= x >= target_score;
        odd |= x != x;
        top = maximum(top, x);
      }
      for (int l = 0; l < LANES; l++) tops_.push_back(top[l]);
    }
    ahead_ = 0;
    bool numbers = true;
    for (int l = 0; l < LANES; l++) {
      ahead_ += not_behind[l];
      numbers &= !odd[l];
    }
    for (int64_t v = dealt; v < count; v++) {
      ahead_ += scores[v] >= target_score;
      numbers &= scores[v] == scores[v];
      tops_.push_back(scores[v]);
    }
    return numbers;
  }

  // How many score at least as much as the target, itself among them.
  int64_t ahead() const { return ahead_; }

  // The best `wanted` as keys, best first (fewer where there are fewer).
  const std::vector<uint64_t> &best(int64_t wanted) {
    keys_.clear();
    const float least = least_of(wanted);
    const int64_t dealt = count_ / DEAL * DEAL;
    for (size_t bucket = 0; bucket < tops_.size(); bucket++) {
      if (!(tops_[bucket] >= least)) continue;
      const int64_t deal = bucket / LANES * DEAL;
      if (deal < dealt)
        for (int64_t v = deal + bucket % LANES; v < deal + DEAL; v += LANES) take(v, least);
      else
        take(dealt + (int64_t)(bucket - dealt / DEPTH), least);
    }
    const auto end = keys_.begin() + std::min<int64_t>(wanted, keys_.size());
    if (keys_.size() > 2 * (size_t)wanted) std::nth_element(keys_.begin(), end - 1, keys_.end());
    else std::sort(keys_.begin(), keys_.end());
    keys_.erase(end, keys_.end());
    std::sort(keys_.begin(), keys_.end());
    return keys_;
  }

 private:
  void take(int64_t token, float least) {
    if (scores_[token] >= least) keys_.push_back(key_of(scores_[token], token));
  }

  // A score that at least `wanted` reach: that of the bucket whose best is the `wanted`-th best.
  float least_of(int64_t wanted) {
    if ((int64_t)tops_.size() <= wanted) return -INFINITY;
    sorted_ = tops_;
    std::nth_element(sorted_.begin(), sorted_.begin() + (wanted - 1), sorted_.end(), std::greater<float>());
    return sorted_[wanted - 1];
  }

  const float *scores_;
  int64_t count_, ahead_;
  std::vector<float> tops_, sorted_;
  std::vector<uint64_t> keys_;
};

// Which tokens are marked for the case at hand.
class Marks {
 public:
  explicit Marks(int64_t vocabulary) : last_(vocabulary) {}
  void begin() { now_++; }
  bool add(int64_t token) {  // whether it is new
    const bool is_new = last_[token] != now_;
    last_[token] = now_;
    return is_new;
  }
  bool has(int64_t token) const { return last_[token] == now_; }

 private:
  std::vector<uint32_t> last_;
  uint32_t now_ = 0;
};

class Ranker {
 public:
  Ranker(const Cases &cases, const Ranks &ranks)
      : cases_(cases), ranks_(ranks), window_(cases.vocabulary), history_(cases.vocabulary) {}

  // Ranks of one case from the scores (vocabulary,) of its row; false where one is not a number.
  bool rank(int64_t row, const float *scores) {
    const int32_t *first = cases_.tokens + cases_.firsts[row], *end = cases_.tokens + cases_.ends[row];
    target_ = *end;
    if (!scores_.read(scores, cases_.candidates, scores[target_])) return false;
    window_.begin();
    history_.begin();
    const int64_t ahead = scores_.ahead();
    int64_t of_window = 0, of_history = 0;  // ahead of the target or equal, and masked
    hidden_ = 0;
    for (const int32_t *token = std::max(first, end - cases_.recent); token < end; token++)
      if (window_.add(*token)) of_window += counts(*token, scores);
    for (const int32_t *token = first; token < end; token++)
      if (history_.add(*token)) {
        of_history += counts(*token, scores);
        hidden_++;
      }
    ranks_.rank_none[row] = (int32_t)ahead;
    ranks_.rank_window[row] = (int32_t)(ahead - of_window);
    ranks_.rank_history[row] = (int32_t)(ahead - of_history);
    lists(row);
    return true;
  }

 private:
  bool counts(int64_t token, const float *scores) const {
    return token < cases_.candidates && token != target_ && scores[token] >= scores[target_];
  }
  bool hides(const Marks &marks, int64_t token) const { return token != target_ && marks.has(token); }

  void lists(int64_t row) {
    const std::vector<uint64_t> *best = &scores_.best(2 * K + cases_.recent);
    int found = 0;
    for (uint64_t key : *best) found += !hides(history_, token_of(key));
    if (found < K && (int64_t)best->size() < cases_.candidates) best = &scores_.best(K + std::max<int64_t>(hidden_, cases_.recent));
    raw_list(row, *best);
    window_list(row, *best);
    history_list(row, *best);
  }

  void raw_list(int64_t row, const std::vector<uint64_t> &best) {
    uint8_t of_window = 0, of_history = 0;
    for (int k = 0; k < K; k++) {
      const bool is_there = k < (int)best.size();
      const int32_t token = is_there ? token_of(best[k]) : -1;
      of_window += is_there && window_.has(token);
      of_history += is_there && history_.has(token);
      ranks_.top_none[row * K + k] = token;
      ranks_.window_repeats_none[row * K + k] = of_window;
      ranks_.history_repeats_none[row * K + k] = of_history;
    }
  }

  void window_list(int64_t row, const std::vector<uint64_t> &best) {
    uint8_t repeats = 0;
    size_t next = 0;
    for (int k = 0; k < K; k++) {
      while (next < best.size() && hides(window_, token_of(best[next]))) next++;
      const bool is_there = next < best.size();
      const int32_t token = is_there ? token_of(best[next++]) : -1;
      repeats += is_there && history_.has(token) && !window_.has(token);
      ranks_.top_window[row * K + k] = token;
      ranks_.history_repeats_window[row * K + k] = repeats;
    }
  }

  void history_list(int64_t row, const std::vector<uint64_t> &best) {
    size_t next = 0;
    for (int k = 0; k < K; k++) {
      while (next < best.size() && hides(history_, token_of(best[next]))) next++;
      ranks_.top_history[row * K + k] = next < best.size() ? token_of(best[next++]) : -1;
    }
  }

  const Cases &cases_;
  const Ranks &ranks_;
  Marks window_, history_;
  Row scores_;
  int64_t target_ = 0, hidden_ = 0;
};

}  // namespace
