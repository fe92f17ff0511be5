/// What a case measured, as one line of JSON.
struct Sample: Sendable {
    fileprivate var values: [(String, Double)]

    init(_ values: KeyValuePairs<String, Double>) { self.values = values.map { ($0.key, $0.value) } }

    mutating func add(_ name: String, _ value: Double) { values.append((name, value)) }

    mutating func add(_ other: Sample) { values += other.values }

    func line(_ name: String) -> String {
        let fields = values.map { "\"\($0.0)\":\(Self.rounded($0.1))" }
        return #"{"who":"martlet","case":"\#(name)","values":{\#(fields.joined(separator: ","))}}"#
    }

    static func failure(_ name: String, _ text: String) -> String {
        let safe = String(text.unicodeScalars.map { $0.value < 0x20 || $0 == "\"" || $0 == "\\" ? " " : Character($0) })
        return #"{"who":"martlet","case":"\#(name)","values":{},"error":"\#(safe)"}"#
    }

    private static func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }
}

extension Sample {
    func renamed(_ name: (String) -> String) -> Sample {
        var result = self
        result.values = values.map { (name($0.0), $0.1) }
        return result
    }
}
