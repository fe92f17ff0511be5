import CMartlet

/// The first message of a shim.
struct ShimHello: Sendable {
    var token = ""
    var inputIsTerminal = false
    var columns: UInt16 = 0
    var rows: UInt16 = 0
    var arguments: [String] = []
    var environment: [String: String] = [:]

    /// More than arguments and environment can be, by far.
    static let limit = 8 * 1024 * 1024

    /// `nil` if it is none.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        func text() -> String? {
            guard let end = rest.firstIndex(of: 0) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return String(decoding: rest[..<end], as: UTF8.self)
        }
        func number<T: FixedWidthInteger>(_: T.Type) -> T? {
            guard rest.count >= MemoryLayout<T>.size else { return nil }
            defer { rest = rest.dropFirst(MemoryLayout<T>.size) }
            return rest.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
        }
        guard let token = text(), let flags = number(UInt8.self), let columns = number(UInt16.self),
            let rows = number(UInt16.self), let count = number(UInt32.self)
        else { return nil }
        (self.token, self.columns, self.rows) = (token, columns, rows)
        inputIsTerminal = flags & 1 != 0
        for _ in 0..<count {
            guard let argument = text() else { return nil }
            arguments.append(argument)
        }
        while !rest.isEmpty {
            guard let entry = text() else { return nil }
            guard let equals = entry.firstIndex(of: "=") else { continue }
            environment[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
    }
}
