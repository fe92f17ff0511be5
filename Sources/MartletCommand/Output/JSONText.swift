import MartletWire

/// Any CBOR as JSON, for people and scripts.
enum JSONText {
    /// Byte strings become `{"base64":"…"}`, keys that are no text their JSON, numbers without a form in JSON null; tags are
    /// left out.
    ///
    /// - Throws: ``CBORError`` if it is none.
    static func of(cbor bytes: [UInt8]) throws -> String {
        try bytes.withUnsafeBytes { bytes in
            var reader = CBORReader(bytes)
            var text = ""
            write(try reader.readValue(), into: &text)
            return text
        }
    }

    private static func write(_ value: CBORValue, into text: inout String) {
        if let integer = value.integer {
            text += "\(integer)"
            return
        }
        switch value {
        case .unsigned, .negative, .null, .undefined: text += "null"
        case .bytes(let bytes): text += #"{"base64":"\#(Base64.encode(bytes))"}"#
        case .text(let string): JSONObject.quote(string, into: &text)
        case .bool(let bool): text += bool ? "true" : "false"
        case .simple(let number): text += "\(number)"
        case .float(let number): text += number.isFinite ? "\(number)" : "null"
        case .tagged(_, let value): write(value, into: &text)
        case .array(let items):
            text += "["
            for (index, item) in items.enumerated() {
                if index > 0 { text += "," }
                write(item, into: &text)
            }
            text += "]"
        case .map(let pairs):
            text += "{"
            for (index, pair) in pairs.enumerated() {
                if index > 0 { text += "," }
                if case .text(let key) = pair.key {
                    JSONObject.quote(key, into: &text)
                } else {
                    var key = ""
                    write(pair.key, into: &key)
                    JSONObject.quote(key, into: &text)
                }
                text += ":"
                write(pair.value, into: &text)
            }
            text += "}"
        }
    }
}
