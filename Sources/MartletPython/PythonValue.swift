public import Martlet

/// What Python code takes and gives, where its shape is not known beforehand.
///
/// Python 2 does not tell text from bytes: its `str` arrives as ``str(_:)`` if it is UTF-8, else as ``bytes(_:)``; what must be
/// bytes is a `bytearray` there.
public enum PythonValue: Sendable, Hashable {
    /// `None`.
    case none
    /// `True` or `False`.
    case bool(Bool)
    /// An integer; beyond `Int` it is ``bigInt(_:)``.
    case int(Int)
    /// An integer that is no `Int`.
    case bigInt(PythonInteger)
    /// A floating-point number.
    case float(Double)
    /// Text: `str`, in Python 2 `unicode`.
    case str(String)
    /// `bytes`, in Python 2 `str`; also what a `bytearray` or a `memoryview` holds.
    case bytes([UInt8])
    /// A list.
    case list([PythonValue])
    /// A tuple.
    case tuple([PythonValue])
    /// A dictionary; keys that are lists, dictionaries or sets cannot be keys in Python.
    case dict([PythonValue: PythonValue])
    /// A set.
    case set(Set<PythonValue>)
    /// A set that can be a key.
    case frozenset(Set<PythonValue>)
    /// The end of a channel. It can be passed on once.
    case channel(Channel<PythonValue>)
}

extension PythonValue {
    /// The integer that is `value`.
    public static func integer(_ value: PythonInteger) -> PythonValue {
        value.int.map(PythonValue.int) ?? .bigInt(value)
    }

    /// An item of a list or tuple. It must be there.
    public subscript(index: Int) -> PythonValue {
        switch self {
        case .list(let items), .tuple(let items): items[index]
        default: preconditionFailure("\(self) has no items")
        }
    }

    /// The value of a text key; `nil` if there is none, or if this is no dictionary.
    public subscript(key: String) -> PythonValue? {
        if case .dict(let values) = self { values[.str(key)] } else { nil }
    }
}

extension PythonValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A bool.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An integer.
    public init(integerLiteral value: Int) { self = .int(value) }
    /// A float.
    public init(floatLiteral value: Double) { self = .float(value) }
    /// Text.
    public init(stringLiteral value: String) { self = .str(value) }
    /// A list.
    public init(arrayLiteral elements: PythonValue...) { self = .list(elements) }
    /// A dictionary; of equal keys the last counts.
    public init(dictionaryLiteral elements: (PythonValue, PythonValue)...) {
        self = .dict(Dictionary(elements) { $1 })
    }
}
