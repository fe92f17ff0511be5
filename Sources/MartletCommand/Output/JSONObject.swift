/// One JSON object on one line, written as it is built: keys come in the order they are added.
///
/// Not Foundation's, which would make the program five times as big.
struct JSONObject {
    private(set) var text = "{"

    private mutating func begin(_ key: String) {
        if text.utf8.count > 1 { text += "," }
        Self.quote(key, into: &text)
        text += ":"
    }

    mutating func add(_ key: String, _ value: String?) {
        begin(key)
        if let value { Self.quote(value, into: &text) } else { text += "null" }
    }

    mutating func add(_ key: String, _ value: Bool) {
        begin(key)
        text += value ? "true" : "false"
    }

    mutating func add(_ key: String, _ value: (some FixedWidthInteger)?) {
        begin(key)
        text += value.map { "\($0)" } ?? "null"
    }

    /// In seconds.
    mutating func add(_ key: String, _ value: Duration?) {
        begin(key)
        text += value.map { Format.seconds($0) } ?? "null"
    }

    mutating func add(_ key: String, _ value: JSONObject?) {
        begin(key)
        text += value.map(\.finished) ?? "null"
    }

    /// What is JSON already.
    mutating func add(_ key: String, json: String) {
        begin(key)
        text += json
    }

    mutating func add(_ key: String, _ values: [String]) {
        begin(key)
        text += "["
        for (index, value) in values.enumerated() {
            if index > 0 { text += "," }
            Self.quote(value, into: &text)
        }
        text += "]"
    }

    /// As text under `key` if the bytes are UTF-8, else under `base64`.
    mutating func add(_ key: String, bytes: [UInt8]) {
        if let string = String(validating: bytes, as: UTF8.self) {
            add(key, string)
        } else {
            add("base64", Base64.encode(bytes))
        }
    }

    var finished: String { text + "}" }

    static func quote(_ string: String, into text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // Some readers take U+2028 and U+2029 for ends of lines.
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            bits <<= UInt32(8 * (3 - group.count))
            for position in 0..<4 {
                let digit = Int(bits >> UInt32(18 - 6 * position)) & 63
                result.append(position <= group.count ? alphabet[digit] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
