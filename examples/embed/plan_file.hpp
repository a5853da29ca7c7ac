// A plan and its sidecar, x.plan and x.plan.json, as `facealign build` writes them.
// A plan is native code: nothing is handed to TensorRT before its checksums match the sidecar and,
// with a key, the sidecar's signature matches the key.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "crop.hpp"
#include "sha256.hpp"

namespace facealign {

struct Tensor {
    std::string name;
    std::string dtype;               // "uint8" or "float32"
    std::vector<std::int64_t> dims;  // behind the batch axis
};

struct Plan {
    std::string data;
    Tensor input;
    std::vector<Tensor> outputs;  // the first is the landmarks
    CropRule crop;
    std::string scheme;
    std::string tensorrt;  // version that built it
};

inline std::string read_file(const std::string& path, std::size_t max_bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw std::runtime_error("cannot open `" + path + "`");
    std::string data;
    std::vector<char> part(1 << 16);
    while (const std::size_t count = std::fread(part.data(), 1, part.size(), file.get())) {
        data.append(part.data(), count);
        if (data.size() > max_bytes) throw std::runtime_error("`" + path + "` is too long");
    }
    return data;
}

// Just enough JSON for a sidecar that was checked before.
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

    // Names and numbers of a contract are ASCII; an escaped character of a comment stays escaped.
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
        const char* start = text_.c_str() + next_;
        char* end = nullptr;
        value.kind = Json::Kind::kNumber;
        value.number = std::strtod(start, &end);
        if (end == start) fail();
        next_ += static_cast<std::size_t>(end - start);
    }

    const std::string& text_;
    std::size_t next_ = 0;
};

inline Tensor tensor_from_json(const Json& json) {
    Tensor tensor{json["name"].text, json["dtype"].text, {}};
    const std::vector<Json>& shape = json["shape"].items;
    if (shape.empty() || shape[0].text != "B") throw std::runtime_error("`" + tensor.name + "` has no batch axis");
    for (std::size_t i = 1; i < shape.size(); ++i) {
        tensor.dims.push_back(static_cast<std::int64_t>(shape[i].number));
        if (tensor.dims.back() < 1) throw std::runtime_error("`" + tensor.name + "` has a free axis");
    }
    return tensor;
}

inline CropRule crop_from_json(const Json& json) {
    CropRule rule;
    rule.size_px = static_cast<int>(json["size_px"].number);
    rule.side_factor = json["from_box"]["side_factor"].number;
    rule.is_integer_centre = json["from_box"]["centre"].text == "integer";
    rule.is_nearest = json["interpolation"].text == "nearest";
    rule.border_value = static_cast<std::uint8_t>(json["border_value"].number);
    return rule;
}

// Compares in a time that does not tell where two texts differ.
inline bool is_same(const std::string& a, const std::string& b) {
    unsigned char difference = a.size() != b.size();
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
    return difference == 0;
}

// What is signed: the record as indented JSON on its own, behind a line that names its purpose.
inline std::string signed_text(const std::string& sidecar) {
    const std::string mark = "\n  \"record\": ";
    const std::size_t start = sidecar.find(mark), end = sidecar.rfind("\n}");
    if (start == std::string::npos || end == std::string::npos || end < start) {
        throw std::runtime_error("the sidecar has no record");
    }
    std::string record(sidecar, start + mark.size(), end - start - mark.size());
    for (std::size_t line = record.find("\n  "); line != std::string::npos; line = record.find("\n  ", line + 1)) {
        record.erase(line + 1, 2);
    }
    return "facealign plan record\n" + record + "\n";
}

// The sidecar holds, as its first field, the SHA-256 of itself without that field.
inline void check_sidecar(const std::string& sidecar, const std::string& key) {
    const std::string start = "{\n  \"checksum\": \"", end = "\",\n";
    const std::size_t rest = start.size() + 64 + end.size();
    if (sidecar.compare(0, start.size(), start) != 0 || sidecar.compare(start.size() + 64, end.size(), end) != 0 ||
        sha256_hex("{\n" + sidecar.substr(rest)) != sidecar.substr(start.size(), 64)) {
        throw std::runtime_error("the sidecar was changed; run `facealign build` again");
    }
    const Json signature = JsonReader(sidecar).read()["hmac"];
    if (key.empty() && signature.kind == Json::Kind::kNull) return;
    if (key.empty()) throw std::runtime_error("the plan is signed; pass the file of its key");
    if (!is_same(signature.text, hmac_sha256_hex(key, signed_text(sidecar)))) {
        throw std::runtime_error("the plan is not signed with this key");
    }
}

// Returns a plan whose every byte was checked, and what its sidecar promises of it.
inline Plan read_plan(const std::string& path, const std::string& key) {
    const std::string sidecar = read_file(path + ".json", std::size_t{1} << 20);
    check_sidecar(sidecar, key);
    const Json whole = JsonReader(sidecar).read();
    const Json& record = whole["record"];
    if (record["version"].number != 1) throw std::runtime_error("the sidecar is of another facealign");
    Plan plan;
    plan.data = read_file(path, std::size_t{1} << 32);
    if (static_cast<double>(plan.data.size()) != record["plan_bytes"].number ||
        sha256_hex(plan.data) != record["plan_sha256"].text) {
        throw std::runtime_error("the plan was changed; run `facealign build` again");
    }
    if (record["inputs"].items.size() != 1 || record["outputs"].items.empty()) {
        throw std::runtime_error("the plan has another contract");
    }
    plan.input = tensor_from_json(record["inputs"].items[0]);
    for (const Json& output : record["outputs"].items) plan.outputs.push_back(tensor_from_json(output));
    plan.crop = crop_from_json(record["crop"]);
    plan.scheme = record["scheme"].text;
    plan.tensorrt = record["machine"]["tensorrt"].text;
    return plan;
}

}  // namespace facealign
