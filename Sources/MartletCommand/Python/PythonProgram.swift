import ArgumentParser
import Martlet
import MartletPython

/// What `martlet python` runs.
struct PythonProgram: Sendable {
    enum Kind: Sendable, Equatable {
        case source(String)
        case script([String])
        case call(String, [PythonValue], [String: PythonValue])
    }

    let kind: Kind
    let modules: PythonModules

    /// - Parameter words: what stands behind the options.
    /// - Throws: `ValidationError`; ``CommandFailure`` if there is no such script.
    init(source: String?, _ words: [String], paths: [String]) throws {
        let given = paths.isEmpty ? nil : paths
        if let source {
            guard words.isEmpty else { throw ValidationError("-c takes no arguments: \(words[0])") }
            kind = .source(source)
            modules = PythonModules(paths: given ?? ["."])
            return
        }
        guard let first = words.first else {
            throw ValidationError("name what to run: MODULE:FUNCTION, a script, or -c SOURCE")
        }
        let rest = Array(words.dropFirst())
        if let (script, function) = Self.script(first) {
            guard SystemCalls.isFile(script) else { throw CommandFailure("there is no script \(script)") }
            modules = PythonModules(paths: given, script: script)
            kind = try function.map { try Self.call("__main__:\($0)", rest) } ?? .script(rest)
            return
        }
        guard first.contains(":") || first.contains(".") || !first.contains("/") else {
            throw ValidationError("\(first) is neither a function (MODULE:FUNCTION) nor a script (*.py)")
        }
        modules = PythonModules(paths: given ?? ["."])
        kind = try Self.call(first, rest)
    }

    /// `deploy.py`, or `deploy.py:install`.
    private static func script(_ word: String) -> (String, String?)? {
        if word.hasSuffix(".py") { return (word, nil) }
        guard let colon = word.lastIndex(of: ":"), word[..<colon].hasSuffix(".py") else { return nil }
        return (String(word[..<colon]), String(word[word.index(after: colon)...]))
    }

    private static func call(_ function: String, _ words: [String]) throws -> Kind {
        var (arguments, keywords): ([PythonValue], [String: PythonValue]) = ([], [:])
        for word in words {
            if let equals = word.firstIndex(of: "="), isName(word[..<equals]) {
                let name = String(word[..<equals])
                guard keywords[name] == nil else { throw ValidationError("\(name) is given twice") }
                keywords[name] = PythonLiteral.value(of: String(word[word.index(after: equals)...]))
            } else {
                guard keywords.isEmpty else { throw ValidationError("\(word) stands behind NAME=VALUE") }
                arguments.append(PythonLiteral.value(of: word))
            }
        }
        return .call(function, arguments, keywords)
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.unicodeScalars.first, first.properties.isXIDStart || first == "_" else { return false }
        return text.unicodeScalars.allSatisfy { $0.properties.isXIDContinue }
    }

    /// For people.
    var name: String {
        switch kind {
        case .source: "-c"
        case .script: modules.script ?? ""
        case .call(let function, _, _): function
        }
    }

    /// Runs it.
    ///
    /// - Parameters:
    ///   - drain: waits until what was printed has been shown.
    ///   - onValue: what a function returned, or a source sent on its channel.
    ///   - onError: an exception that ended it.
    /// - Throws: what keeps it from running at all.
    func run(
        in py: PythonContext, deadline: Duration?, drain: @Sendable () async -> Void,
        onValue: @Sendable (PythonValue) async -> Void,
        onError: @Sendable (PythonError) async -> Void
    ) async throws -> Termination {
        do {
            switch kind {
            case .source(let source): try await run(source, py, deadline, drain, onValue)
            case .script(let arguments):
                let status = try await py.runScript(arguments, deadline: deadline)
                await drain()
                return .exited(Int32(status))
            case .call(let function, let arguments, let keywords):
                let value = try await py.apply(function, arguments, keywords, deadline: deadline)
                await drain()
                await onValue(value)
            }
            return .exited(0)
        } catch let error as PythonError {
            await drain()
            await onError(error)
            return .exited(1)
        } catch let error as MartletError where error.code == .deadlineExceeded {
            return .timedOut(after: deadline ?? .zero)
        }
    }

    private func run(
        _ source: String, _ py: PythonContext, _ deadline: Duration?, _ drain: @Sendable () async -> Void,
        _ onValue: @Sendable (PythonValue) async -> Void
    ) async throws {
        let fragment = py.exec(source, file: "-c", deadline: deadline)
        do {
            while let value = try await fragment.receive() { await onValue(value) }
        } catch is PythonError {}
        try await fragment.finished()
        await drain()
    }
}
