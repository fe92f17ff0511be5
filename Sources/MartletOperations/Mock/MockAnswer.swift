public import Martlet

/// What a ``MockHost`` says to a command.
public struct MockAnswer: Sendable, ExpressibleByStringLiteral {
    enum Kind: Sendable {
        case result(Termination, output: [UInt8], errors: [UInt8])
        case failure(any Error)
    }

    let kind: Kind

    /// A command that writes this and exits.
    public static func output(_ output: String, errors: String = "", exitCode: Int32 = 0) -> MockAnswer {
        Self.output(Array(output.utf8), errors: Array(errors.utf8), exitCode: exitCode)
    }

    /// A command that writes these bytes and exits.
    public static func output(_ output: [UInt8], errors: [UInt8] = [], exitCode: Int32 = 0) -> MockAnswer {
        MockAnswer(kind: .result(.exited(exitCode), output: output, errors: errors))
    }

    /// A command that exits, and writes nothing.
    public static func exit(_ code: Int32) -> MockAnswer { .output([UInt8](), exitCode: code) }

    /// A command that ends in this way.
    public static func ended(_ termination: Termination, output: String = "", errors: String = "") -> MockAnswer {
        MockAnswer(kind: .result(termination, output: Array(output.utf8), errors: Array(errors.utf8)))
    }

    /// A result that was made before, such as one of a real host's. Its command and host are those of the call.
    public static func result(_ result: OperationResult) -> MockAnswer {
        MockAnswer(
            kind: .result(result.termination, output: result.standardOutput, errors: result.standardError))
    }

    /// The operation throws this, as if the host were not there.
    public static func failure(_ error: any Error) -> MockAnswer { MockAnswer(kind: .failure(error)) }

    /// A command that writes this, and succeeds.
    public init(stringLiteral output: String) { self = .output(output) }

    private init(kind: Kind) { self.kind = kind }
}
