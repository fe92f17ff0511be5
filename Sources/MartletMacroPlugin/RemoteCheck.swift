import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder

/// Looks for what keeps a function from being called in another context.
struct RemoteCheck {
    private let function: FunctionDeclSyntax
    /// What the function is in, the innermost first.
    private let surroundings: [Syntax]
    private(set) var findings: [Diagnostic] = []

    init(_ function: FunctionDeclSyntax, in surroundings: [Syntax]) {
        self.function = function
        self.surroundings = surroundings
    }

    mutating func run() {
        checkPlace()
        checkModifiers()
        if let generics = function.genericParameterClause { findings.append(RemoteDiagnostic.generic.at(generics)) }
        if let generics = function.genericWhereClause { findings.append(RemoteDiagnostic.generic.at(generics)) }
        for (index, parameter) in function.signature.parameterClause.parameters.enumerated() {
            check(parameter, at: index)
        }
        if let type = function.signature.returnClause?.type, !type.isVoid { check(type) }
    }

    /// Which of the functions of one name it is: `nil` for the first.
    mutating func overload(of attribute: AttributeSyntax) -> Int? {
        guard case .argumentList(let arguments) = attribute.arguments, let argument = arguments.first else {
            return nil
        }
        let number = argument.expression.as(IntegerLiteralExprSyntax.self).flatMap { Int($0.literal.text) }
        guard let number, (2...9).contains(number) else {
            findings.append(RemoteDiagnostic.overloadNumber.at(argument.expression))
            return nil
        }
        return number
    }

    // MARK: Where it is

    private mutating func checkPlace() {
        for place in surroundings {
            if place.is(ProtocolDeclSyntax.self) {
                findings.append(RemoteDiagnostic.protocolRequirement.at(function.name))
                return
            }
            guard let name = place.typeName else {
                findings.append(RemoteDiagnostic.localFunction.at(function.name))
                return
            }
            // What is in a private extension is hidden too.
            if place.modifiers?.contains(where: \.hides) ?? false {
                findings.append(RemoteDiagnostic.hiddenType(name).at(function.name))
            }
            if place.asProtocol((any WithGenericParametersSyntax).self)?.genericParameterClause != nil {
                findings.append(RemoteDiagnostic.genericType(name).at(function.name))
            }
        }
    }

    private mutating func checkModifiers() {
        if !surroundings.isEmpty, surroundings.allSatisfy({ $0.typeName != nil && !$0.is(ProtocolDeclSyntax.self) }),
            !function.modifiers.contains(where: \.isStatic)
        {
            findings.append(
                RemoteDiagnostic.instanceMethod.at(
                    function.name, fixIts: [FixIt("make it static", replace: function, with: function.madeStatic)]))
        }
        if let modifier = function.modifiers.first(where: \.hides) {
            let word = modifier.name.text
            let fixed = function.removing(modifier)
            findings.append(
                RemoteDiagnostic.hidden(word).at(
                    modifier, fixIts: [FixIt("remove '\(word)'", replace: function, with: fixed)]))
        }
    }

    // MARK: What is sent

    private mutating func check(_ parameter: FunctionParameterSyntax, at index: Int) {
        var type = parameter.type
        if let ellipsis = parameter.ellipsis {
            var fixed = parameter
            fixed.ellipsis = nil
            fixed.type = TypeSyntax(ArrayTypeSyntax(element: parameter.type.trimmed))
            fixed.type.trailingTrivia = ellipsis.trailingTrivia
            findings.append(
                RemoteDiagnostic.variadic.at(
                    parameter, fixIts: [FixIt("take an array", replace: parameter, with: fixed)]))
        }
        if let attributed = type.as(AttributedTypeSyntax.self) {
            for specifier in attributed.specifiers {
                guard let word = specifier.as(SimpleTypeSpecifierSyntax.self)?.specifier.text else { continue }
                // Those say how the value is handed over here, and hold there too.
                if ["borrowing", "consuming", "sending", "__owned", "__shared"].contains(word) { continue }
                var fixed = attributed.baseType
                fixed.leadingTrivia = attributed.leadingTrivia
                findings.append(
                    (word == "inout" ? RemoteDiagnostic.inOut : .specifier(word)).at(
                        specifier, fixIts: [FixIt("remove '\(word)'", replace: attributed, with: fixed)]))
            }
            type = attributed.baseType
        }
        if type.isRemoteContext {
            if index > 0 { findings.append(RemoteDiagnostic.contextNotFirst.at(parameter)) }
        } else {
            check(type)
        }
    }

    private mutating func check(_ type: TypeSyntax) {
        let visitor = SentTypeVisitor(owner: surroundings.ownerName)
        visitor.walk(type)
        findings += visitor.findings
    }
}

/// Finds what in a type cannot be sent, as far as its words tell. The compiler finds the rest: what is not `Codable`.
private final class SentTypeVisitor: SyntaxVisitor {
    var findings: [Diagnostic] = []
    private let owner: String?

    init(owner: String?) {
        self.owner = owner
        super.init(viewMode: .sourceAccurate)
    }

    private func find(_ what: RemoteDiagnostic, _ node: some SyntaxProtocol) -> SyntaxVisitorContinueKind {
        findings.append(what.at(node))
        return .skipChildren
    }

    override func visit(_ node: TupleTypeSyntax) -> SyntaxVisitorContinueKind {
        // In brackets: (Int).
        node.elements.count == 1 ? .visitChildren : find(.tuple, node)
    }

    override func visit(_ node: FunctionTypeSyntax) -> SyntaxVisitorContinueKind { find(.closure, node) }
    override func visit(_ node: MetatypeTypeSyntax) -> SyntaxVisitorContinueKind { find(.metatype, node) }

    override func visit(_ node: SomeOrAnyTypeSyntax) -> SyntaxVisitorContinueKind {
        node.someOrAnySpecifier.tokenKind == .keyword(.some)
            ? find(.opaque, node) : find(.existential(node.trimmedDescription), node)
    }

    override func visit(_ node: IdentifierTypeSyntax) -> SyntaxVisitorContinueKind {
        switch node.name.text {
        case "Any", "AnyObject": return find(.existential(node.name.text), node)
        case "Void": return find(.tuple, node)
        case "Self":
            let fixIts = owner.map { owner in
                var fixed: TypeSyntax = "\(raw: owner)"
                (fixed.leadingTrivia, fixed.trailingTrivia) = (node.leadingTrivia, node.trailingTrivia)
                return [FixIt("write '\(owner)'", replace: node, with: fixed)]
            }
            findings.append(RemoteDiagnostic.selfType.at(node, fixIts: fixIts ?? []))
            return .skipChildren
        default: return .visitChildren
        }
    }
}
