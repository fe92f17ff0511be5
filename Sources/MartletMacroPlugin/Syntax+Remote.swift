import SwiftSyntax

extension Syntax {
    /// How a type, or what an extension extends, is written; `nil` for all else that code can be in.
    var typeName: String? {
        if let type = self.as(ExtensionDeclSyntax.self) { return type.extendedType.trimmedDescription }
        guard isProtocol((any DeclGroupSyntax).self) else { return nil }
        return asProtocol((any NamedDeclSyntax).self)?.name.text
    }

    var modifiers: DeclModifierListSyntax? { asProtocol((any WithModifiersSyntax).self)?.modifiers }

    var attributes: AttributeListSyntax? { asProtocol((any WithAttributesSyntax).self)?.attributes }
}

extension [Syntax] {
    /// The type that a function with these surroundings is a member of, as it is written from the file.
    var ownerName: String? {
        let names = reversed().map(\.typeName)
        guard !names.isEmpty, !names.contains(nil) else { return nil }
        return names.compactMap { $0 }.joined(separator: ".")
    }
}

extension DeclModifierSyntax {
    /// Whether it hides the name from the far side. (`private(set)` is of variables.)
    var hides: Bool { ["private", "fileprivate"].contains(name.text) }
    var isStatic: Bool { ["static", "class"].contains(name.text) }
}

extension AttributeListSyntax {
    func named(_ name: String) -> [AttributeSyntax] {
        compactMap { $0.as(AttributeSyntax.self) }.filter { $0.attributeName.trimmedDescription == name }
    }

    /// Whether one of them looks like a global actor, by the custom of their names.
    var hasGlobalActor: Bool {
        contains { $0.as(AttributeSyntax.self)?.attributeName.trimmedDescription.hasSuffix("Actor") ?? false }
    }
}

extension TypeSyntax {
    var isVoid: Bool {
        self.as(IdentifierTypeSyntax.self)?.name.text == "Void"
            || self.as(TupleTypeSyntax.self)?.elements.isEmpty ?? false
            || trimmedDescription == "Swift.Void"
    }

    var isRemoteContext: Bool { ["RemoteContext", "Martlet.RemoteContext"].contains(trimmedDescription) }

    /// Without what says how a value is handed over.
    var withoutSpecifiers: TypeSyntax { self.as(AttributedTypeSyntax.self).map(\.baseType) ?? self }
}

extension FunctionDeclSyntax {
    /// The same without that modifier.
    func removing(_ modifier: DeclModifierSyntax) -> FunctionDeclSyntax {
        var copy = self
        var rest = Array(modifiers)
        guard let index = rest.firstIndex(where: { $0.id == modifier.id }) else { return self }
        rest.remove(at: index)
        if index < rest.count {
            rest[index].leadingTrivia = modifier.leadingTrivia
        } else {
            copy.funcKeyword.leadingTrivia = modifier.leadingTrivia
        }
        copy.modifiers = DeclModifierListSyntax(rest)
        return copy
    }

    var madeStatic: FunctionDeclSyntax {
        var copy = self
        let trivia = modifiers.isEmpty ? funcKeyword.leadingTrivia : []
        let word = DeclModifierSyntax(name: .keyword(.static, leadingTrivia: trivia, trailingTrivia: .space))
        copy.modifiers = DeclModifierListSyntax(Array(modifiers) + [word])
        copy.funcKeyword.leadingTrivia = []
        return copy
    }
}
