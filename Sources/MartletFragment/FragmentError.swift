public import Martlet

/// How a fragment failed: an error that nobody in it caught, a crash, or an exit code.
public struct FragmentError: Error, Sendable {
    /// What happened, in one sentence without a full stop.
    public var message: String
    /// The type of the error that it threw; `nil` if it ended otherwise.
    public var type: String?
    /// How its process ended.
    public var termination: Termination
    /// The last lines that it wrote to its standard error.
    public var lastErrors: [String]
    /// Where it ran.
    public var route: Route

    /// - Returns: `nil` if it ended well.
    package init?(_ result: ImageResult, _ name: String, _ route: Route) {
        if let thrown = result.thrown {
            type = thrown.type
            message = "\(name) threw \(thrown.type): \(thrown.message)"
        } else if result.termination == .exited(0) {
            return nil
        } else {
            switch result.termination {
            case .exited(let code): message = "\(name) ended with exit code \(code)"
            case .signalled: message = "\(name) was ended by signal \(result.termination.signalName ?? "?")"
            case .timedOut(let limit): message = "\(name) was ended, as it took longer than \(limit)"
            }
        }
        termination = result.termination
        lastErrors = result.lastErrors
        self.route = route
    }
}

extension FragmentError: CustomStringConvertible {
    /// The message and the route on the first line, then what it wrote to its standard error.
    public var description: String {
        (["\(message) [\(route)]"] + lastErrors.map { "    \($0)" }).joined(separator: "\n")
    }
}

/// A fragment that the compiler does not take.
public struct FragmentCompileError: Error, Sendable {
    /// What the source is called.
    public var file: String
    /// What the compiler printed, with the source's own lines.
    public var output: String
}

extension FragmentCompileError: CustomStringConvertible {
    /// That it does not compile, and what the compiler printed.
    public var description: String { "\(file) does not compile:\n\(output)" }
}

extension MartletError.Code {
    /// There is no Swift compiler, or it cannot be used.
    public static let noCompiler = MartletError.Code(rawValue: "noCompiler")
}
