import Martlet
import MartletPython

extension PythonValue {
    /// As Python's `repr` writes it; the keys of dictionaries and the items of sets in order.
    var python: String {
        switch self {
        case .none: return "None"
        case .bool(let value): return value ? "True" : "False"
        case .int(let value): return "\(value)"
        case .bigInt(let value): return "\(value)"
        case .float(let value): return Self.text(of: value)
        case .str(let text): return Self.quoted(text.unicodeScalars.map { $0 }, prefix: "")
        case .bytes(let bytes): return Self.quoted(bytes.map { Unicode.Scalar($0) }, prefix: "b")
        case .list(let items): return "[" + items.map(\.python).joined(separator: ", ") + "]"
        case .tuple(let items):
            return "(" + items.map(\.python).joined(separator: ", ") + (items.count == 1 ? ",)" : ")")
        case .dict(let values):
            let pairs = values.map { ($0.key.python, $0.value.python) }.sorted { $0.0 < $1.0 }
            return "{" + pairs.map { "\($0): \($1)" }.joined(separator: ", ") + "}"
        case .set(let items) where items.isEmpty: return "set()"
        case .set(let items): return "{" + items.map(\.python).sorted().joined(separator: ", ") + "}"
        case .frozenset(let items):
            return items.isEmpty
                ? "frozenset()" : "frozenset({" + items.map(\.python).sorted().joined(separator: ", ") + "})"
        case .channel: return "<Channel>"
        }
    }

    private static func text(of value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        return "\(value)"
    }

    private static func quoted(_ scalars: [Unicode.Scalar], prefix: String) -> String {
        let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
        var text = prefix + String(quote)
        for scalar in scalars {
            switch scalar {
            case quote, "\\": text += "\\" + String(scalar)
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F || !prefix.isEmpty && scalar.value > 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + String(quote)
    }

    /// As JSON, as far as that goes: tuples and sets are arrays, keys are text, bytes are text or else under `base64`.
    var json: String {
        switch self {
        case .none: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int, .bigInt: return python
        case .float(let value): return value.isFinite ? "\(value)" : "null"
        case .str(let text):
            var quoted = ""
            JSONObject.quote(text, into: &quoted)
            return quoted
        case .bytes(let bytes):
            if let text = String(validating: bytes, as: UTF8.self) { return PythonValue.str(text).json }
            var object = JSONObject()
            object.add("base64", bytes: bytes)
            return object.finished
        case .list(let items), .tuple(let items): return "[" + items.map(\.json).joined(separator: ",") + "]"
        case .set(let items), .frozenset(let items):
            return "[" + items.map(\.json).sorted().joined(separator: ",") + "]"
        case .dict(let values):
            let pairs = values.map { ($0.key.jsonKey, $0.value.json) }.sorted { $0.0 < $1.0 }
            return "{" + pairs.map { "\($0):\($1)" }.joined(separator: ",") + "}"
        case .channel: return "null"
        }
    }

    private var jsonKey: String {
        if case .str = self { json } else { PythonValue.str(python).json }
    }
}

extension RunReporter {
    /// Shows what a function returned; nothing for `None`, as Python does.
    func value(_ value: PythonValue, from host: Host) async {
        if self is JSONReporter { return await item(value.json, from: host) }
        guard value != PythonValue.none else { return }
        let text = if case .str(let text) = value { text } else { value.python }
        await lines(text, to: .output, from: host)
    }
}
