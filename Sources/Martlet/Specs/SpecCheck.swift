/// Compares a hop as it was written with what its kind allows.
struct SpecCheck {
    let hop: SpecParser.Hop
    let spec: [Unicode.Scalar]
    let kinds: [ConnectorKind]

    /// The kind of the hop. A plain word is a host for ssh.
    func form() throws(SpecError) -> ConnectorKind {
        guard let token = hop.kind ?? misspelt else {
            if let ssh = kinds.first(where: { $0.name == "ssh" }) { return ssh }
            throw SpecError(.unknownKind, "a way in is missing here", in: spec, at: hop.argument?.range ?? 0..<1)
        }
        if let form = kinds.first(where: { $0.name == token.text }) { return form }
        let suggestion = NearestWord.of(token.text, among: kinds.map(\.name))
        throw SpecError(
            .unknownKind, "there is no way in called \"\(token.text)\"", in: spec, at: token.range,
            suggestion: suggestion, advice: suggestion == nil ? advice(for: token) : nil)
    }

    /// A plain `word:…` where no port follows: hardly the name of a host.
    private var misspelt: SpecToken? {
        guard let argument = hop.argument else { return nil }
        let scalars = Array(argument.text.unicodeScalars)
        guard let colon = scalars.firstIndex(of: ":"), scalars.count(where: { $0 == ":" }) == 1, !scalars.contains("@"),
            scalars[..<colon].allSatisfy({ SpecCharacters.isWordPart($0) || ("A"..."Z").contains($0) })
        else { return nil }
        var token = SpecToken(range: argument.range(of: 0..<colon))
        token.text.unicodeScalars.append(contentsOf: scalars[..<colon])
        guard colon + 1 < scalars.count else {
            // A port may have been forgotten.
            return NearestWord.of(token.text, among: kinds.map(\.name)) == nil ? nil : token
        }
        return SpecCharacters.isDigit(scalars[colon + 1]) ? nil : token
    }

    private func advice(for token: SpecToken) -> String {
        let ways = kinds.map(\.name).joined(separator: ", ")
        guard hop.kind != nil, hop.argument == nil, token.range.lowerBound > 0 else { return "one of \(ways)" }
        return "for ssh to a host of this name write ssh:\(SpecError.harmless(token.text)); "
            + "a / inside of a text is written %2F, and a path begins with /, ~ or ."
    }

    func argument(of form: ConnectorKind) throws(SpecError) -> SpecReader.Text? {
        guard let token = hop.argument else {
            guard case .required(let meaning) = form.argument else { return nil }
            let end = hop.kind?.range.upperBound ?? 0
            let hasColon = end < spec.count && spec[end] == ":"
            throw SpecError(
                .badArgument, "\(form.name) needs \(meaning) behind a colon", in: spec,
                at: hasColon ? end + 1..<end + 2 : end..<end + 1, advice: "\(form.name):\(meaning)")
        }
        guard form.argument != .none else {
            throw SpecError(
                .badArgument, "\(form.name) takes nothing behind a colon", in: spec, at: token.range)
        }
        try requireUnambiguous(token, isProgram: false)
        return SpecReader.Text(text: token.text, token: token, spec: spec)
    }

    func options(of form: ConnectorKind) throws(SpecError) -> [(name: String, value: SpecReader.Text?)] {
        var found: [(name: String, value: SpecReader.Text?)] = []
        for option in hop.options {
            guard let type = form.option(option.name.text) else { throw unknown(option.name, of: form) }
            if !type.isRepeatable, found.contains(where: { $0.name == type.name }) {
                throw SpecError(
                    .duplicateOption, "\"\(type.name)\" is there twice", in: spec, at: option.name.range)
            }
            found.append((type.name, try value(of: option, type, found)))
        }
        return found
    }

    private func value(
        of option: SpecParser.Option, _ type: ConnectorKind.Option, _ before: [(name: String, value: SpecReader.Text?)]
    ) throws(SpecError) -> SpecReader.Text? {
        guard let token = option.value else {
            guard type.type == .flag else {
                throw SpecError(
                    .badValue, "\"\(type.name)\" needs a value", in: spec, at: option.name.range,
                    advice: "\(type.name)=…, \(type.meaning)")
            }
            return nil
        }
        guard type.type != .flag else {
            let equals = option.name.range.upperBound
            throw SpecError(
                .badValue, "\"\(type.name)\" takes no value", in: spec,
                at: equals..<max(equals + 1, token.range.upperBound))
        }
        let text = SpecReader.Text(text: token.text, token: token, spec: spec)
        try text.check(type.type, type.name)
        try requireUnambiguous(token, isProgram: type.type == .program)
        if type.type == .assignment {
            let name = text.text.prefix { $0 != "=" }
            for (other, value) in before where other == type.name && value?.text.prefix(while: { $0 != "=" }) == name {
                throw text.error(
                    .duplicateOption, "\(name) is there twice", at: 0..<name.unicodeScalars.count)
            }
        }
        return text
    }

    private func unknown(_ name: SpecToken, of form: ConnectorKind) -> SpecError {
        let suggestion = NearestWord.of(name.text, among: form.options.map(\.name))
        if let hint = form.hints[name.text] {
            return SpecError(
                .unknownOption, "\(form.name) has no option \"\(name.text)\"", in: spec, at: name.range, advice: hint)
        }
        if suggestion == nil || SpecSecrets.words.contains(name.text), SpecSecrets.isSecret(name.text.unicodeScalars) {
            return .secret("\"\(name.text)\" never stands in a spec", in: spec, at: name.range)
        }
        let options = form.options.map(\.name).joined(separator: ", ")
        return SpecError(
            .unknownOption, "\(form.name) has no option \"\(name.text)\"", in: spec, at: name.range,
            suggestion: suggestion,
            advice: suggestion != nil ? nil : options.isEmpty ? "\(form.name) has no options" : "one of \(options)")
    }

    /// - Throws: if the last component of a path is called as a way in is, and could have been meant as one.
    private func requireUnambiguous(_ token: SpecToken, isProgram: Bool) throws(SpecError) {
        guard !isProgram, token.isPath, let slash = token.lastSlash else { return }
        let end = token.range.upperBound
        guard end == spec.count || spec[end] != "&" else { return }
        var component = ""
        component.unicodeScalars.append(contentsOf: spec[(slash + 1)..<end])
        guard kinds.contains(where: { $0.name == component }) else { return }
        throw SpecError(
            .ambiguous, "\"/\(component)\" may be the end of the path or the next hop", in: spec, at: slash..<end,
            advice: "write /\(component): for the hop, %2F\(component) for the path")
    }
}

extension SpecError {
    static func secret(_ message: String, in spec: [Unicode.Scalar], at range: Range<Int>) -> SpecError {
        SpecError(
            .secret, message, in: spec, at: range,
            advice: "leave it out: secrets are asked for when they are needed, or come from a file or an agent of keys")
    }
}
