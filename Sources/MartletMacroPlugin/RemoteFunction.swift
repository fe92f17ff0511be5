import SwiftParser
import SwiftSyntax

/// What is to be known of a function that passed ``RemoteCheck``.
struct RemoteFunction {
    struct Parameter {
        /// As it is written; `_` for none.
        var label: String
        /// As it is used in the body; unique.
        var name: String
        var type: String
        var defaultValue: String?
        var declaration: String {
            let names = label == name || "`\(label)`" == name ? label : "\(label) \(name)"
            return "\(names): \(type)" + (defaultValue.map { " = \($0)" } ?? "")
        }

        /// How `value` is passed for it.
        func argument(_ value: String) -> String { label == "_" ? value : "\(label): \(value)" }
    }

    /// As it is written.
    var name: String
    /// The type that it is a static method of.
    var owner: String?
    var module: String?
    var overload: Int?
    /// With a blank behind it, or empty: what is written, as what an extension says holds for its members.
    var access: String
    /// The same for the task's own members.
    var memberAccess: String
    var isClassMember: Bool
    /// Attributes that hold for all that is made of it.
    var availability: [String]
    /// Its documentation, line by line.
    var documentation: [String]
    var isDiscardable: Bool
    var parameters: [Parameter]
    /// The label of a first parameter that gets the ``RemoteContext``.
    var contextLabel: String?
    var effects: String
    var isAwaited: Bool
    var isTried: Bool
    /// `nil`: nothing.
    var output: String?

    init(_ function: FunctionDeclSyntax, in surroundings: [Syntax], overload: Int?, module: String?) {
        name = function.name.text
        owner = surroundings.ownerName
        self.module = module
        self.overload = overload
        let written = Self.access(function.modifiers)
        access = written ?? ""
        let extended = surroundings.first?.as(ExtensionDeclSyntax.self).flatMap { Self.access($0.modifiers) }
        memberAccess = written ?? extended ?? ""
        isClassMember = owner != nil
        availability = function.attributes.named("available").map(\.trimmedDescription)
        documentation = Self.documentation(of: function)
        isDiscardable = !function.attributes.named("discardableResult").isEmpty
        let list = Array(function.signature.parameterClause.parameters)
        let takesContext = list.first?.type.withoutSpecifiers.isRemoteContext ?? false
        contextLabel = takesContext ? list[0].firstName.text : nil
        parameters = list.dropFirst(takesContext ? 1 : 0).enumerated().map { Self.parameter($1, $0) }

        let effectsClause = function.signature.effectSpecifiers
        let throwing = effectsClause?.throwsClause?.trimmedDescription
        isTried = throwing.map { $0 != "throws(Never)" } ?? false
        effects = throwing.map { " \($0)" } ?? ""
        let isIsolated =
            !function.modifiers.contains { $0.name.text == "nonisolated" }
            && (function.attributes.hasGlobalActor || surroundings.contains { $0.attributes?.hasGlobalActor ?? false })
        isAwaited = isIsolated || effectsClause?.asyncSpecifier != nil
        let type = function.signature.returnClause?.type
        output = type.flatMap { $0.isVoid ? nil : $0.withoutSpecifiers.trimmedDescription }
    }

    private static func access(_ modifiers: DeclModifierListSyntax) -> String? {
        let words = ["open": "public ", "public": "public ", "package": "package ", "internal": ""]
        return modifiers.lazy.compactMap { words[$0.name.text] }.first
    }

    private static func documentation(of function: FunctionDeclSyntax) -> [String] {
        function.leadingTrivia.flatMap { piece -> [String] in
            switch piece {
            case .docLineComment(let text): [text]
            case .docBlockComment(let text):
                text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            default: []
            }
        }
    }

    private static func parameter(_ parameter: FunctionParameterSyntax, _ index: Int) -> Parameter {
        let name = (parameter.secondName ?? parameter.firstName).text
        return Parameter(
            label: plainLabel(parameter.firstName.text),
            name: name == "_" ? "argument\(index)" : usable(name),
            type: parameter.type.withoutSpecifiers.trimmedDescription,
            defaultValue: parameter.defaultValue?.value.trimmedDescription)
    }

    /// A label needs no backquotes, be it a keyword; but for these.
    private static func plainLabel(_ label: String) -> String {
        let plain = label.filter { $0 != "`" }
        return ["inout", "let", "var"].contains(plain) ? label : plain
    }

    /// A name as it may stand in an expression: `in` as a parameter's name needs no backquotes, but its use does.
    private static func usable(_ name: String) -> String {
        name.hasPrefix("`") || name.isValidSwiftIdentifier(for: .variableName) ? name : "`\(name)`"
    }

    /// Without backquotes.
    var plainName: String { name.filter { $0 != "`" } }
    var taskName: String { "Remote\(overload.map(String.init) ?? "")_\(plainName)" }

    /// As it is called from within the task.
    var calledName: String {
        if let owner { return "\(owner).\(name)" }
        // What the task has of that name itself would be found first.
        let taken = ["run", "encode"].contains(plainName)
        return taken ? module.map { "\($0).\(name)" } ?? name : name
    }

    /// A name that no parameter has.
    func free(_ name: String) -> String {
        parameters.contains { $0.name == name || $0.name == "`\(name)`" } ? free("_" + name) : name
    }
}
