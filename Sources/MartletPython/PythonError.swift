public import Martlet

/// An exception that Python code raised in a context.
public struct PythonError: Error, Sendable, Hashable {
    /// The exception's class: `ValueError`, or with its module `subprocess.CalledProcessError`.
    public var type: String
    /// What `str()` says of it.
    public var message: String
    /// As Python prints it, from the called code on.
    public var traceback: String
    /// Where it was raised.
    public var route = Route()
    /// What to try, where that is known: for a module that is not found.
    public var advice: String?
}

extension PythonError: CustomStringConvertible {
    /// The class, the message and the route on the first line, then the traceback.
    public var description: String {
        let lines = traceback.split(separator: "\n").map { "    \($0)" }
        let advice = advice.map { ["    try: \($0)"] } ?? []
        return (["\(type): \(message) [\(route)]"] + lines + advice).joined(separator: "\n")
    }
}

extension PythonError: Codable {
    private enum CodingKeys: String, CodingKey {
        case type, message, traceback
    }

    /// Reads what the runtime sends; the route is added by who knows it.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        type = try container.decode(String.self, forKey: .type)
        message = try container.decode(String.self, forKey: .message)
        traceback = try container.decode(String.self, forKey: .traceback)
    }
}
