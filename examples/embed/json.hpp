// Just enough JSON for the sidecar of a plan.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <locale>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace facealign {

struct Json {
    enum class Kind { kNull, kBool, kNumber, kText, kList, kObject } kind = Kind::kNull;
    double number = 0;
    std::string text;
    std::vector<Json> items;
    std::map<std::string, Json> fields;

    const Json& operator[](const std::string& name) const {
        const auto found = fields.find(name);
        if (found == fields.end()) throw std::runtime_error("the sidecar has no `" + name + "`");
        return found->second;
    }
};

class JsonReader {
   public:
    explicit JsonReader(const std::string& text) : text_(text) {}

    Json read() {
        Json value = read_value(0);
        skip_space();
        if (next_ != text_.size()) fail();
        return value;
    }

   private:
    static constexpr int kMaxDepth = 16;

    [[noreturn]] static void fail() { throw std::runtime_error("the sidecar is no JSON"); }

    void skip_space() {
        while (next_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[next_]))) ++next_;
    }

    char peek() {
        skip_space();
        if (next_ >= text_.size()) fail();
        return text_[next_];
    }

    bool accept(char character) {
        if (peek() != character) return false;
        ++next_;
        return true;
    }

    void expect(char character) {
        if (!accept(character)) fail();
    }

    bool accept_word(const std::string& word) {
        if (text_.compare(next_, word.size(), word) != 0) return false;
        next_ += word.size();
        return true;
    }

    Json read_value(int depth) {
        if (depth > kMaxDepth) fail();
        Json value;
        switch (peek()) {
            case '{': read_object(value, depth); break;
            case '[': read_list(value, depth); break;
            case '"':
                value.kind = Json::Kind::kText;
                value.text = read_text();
                break;
            default: read_plain(value);
        }
        return value;
    }

    void read_object(Json& value, int depth) {
        value.kind = Json::Kind::kObject;
        expect('{');
        if (accept('}')) return;
        do {
            if (peek() != '"') fail();
            std::string name = read_text();
            expect(':');
            value.fields.emplace(std::move(name), read_value(depth + 1));
        } while (accept(','));
        expect('}');
    }

    void read_list(Json& value, int depth) {
        value.kind = Json::Kind::kList;
        expect('[');
        if (accept(']')) return;
        do value.items.push_back(read_value(depth + 1));
        while (accept(','));
        expect(']');
    }

    // An escaped character only loses its backslash: names of a contract have none.
    std::string read_text() {
        std::string text;
        for (++next_; next_ < text_.size() && text_[next_] != '"'; ++next_) {
            if (text_[next_] == '\\' && ++next_ >= text_.size()) fail();
            text.push_back(text_[next_]);
        }
        if (next_++ >= text_.size()) fail();
        return text;
    }

    void read_plain(Json& value) {
        if (accept_word("null")) return;
        value.kind = Json::Kind::kBool;
        if (accept_word("false")) return;
        value.number = 1;
        if (accept_word("true")) return;
        value.kind = Json::Kind::kNumber;
        const std::size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", next_), text_.size());
        std::istringstream digits(text_.substr(next_, end - next_));
        digits.imbue(std::locale::classic());  // that of the program may want a comma
        digits >> value.number;
        if (digits.fail() || !digits.eof()) fail();
        next_ = end;
    }

    const std::string& text_;
    std::size_t next_ = 0;
};

}  // namespace facealign
