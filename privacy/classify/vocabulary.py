"""What columns are called: for each kind the phrases that name it, in several languages.

Words are in lower case and without accents, as `column_name.words_of` gives them. A phrase of two words is also found
written as one.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


STRONG = {
    "email": "email, e mail, mail, email address, mail address, email addr, correo, correo electronico, courriel,"
    " adresse email, indirizzo email, mailadresse, epost, e post, endereco email",
    "phone": "phone, phone number, phone no, telephone, telephone number, tel, tel no, mobile, mobile number,"
    " mobile phone, cell, cell phone, cellphone, msisdn, fax, fax number, landline, telefon,"
    " telefonnummer, handy, mobilnummer, telefono, numero telefono, celular, movil, cellulare, portable,"
    " telefone, telefoon, telefoonnummer, whatsapp",
    "name": "full name, fullname, complete name, person name, customer name, client name, patient name, user full"
    " name, employee name, contact name, member name, owner name, ownername, cardholder, cardholder name,"
    " card holder, account holder, holder name, guest name, student name, teacher name, recipient,"
    " recipient name, sender name, beneficiary name, passenger name, buyer name, author name, nom complet,"
    " nombre completo, nome completo, kundenname, volledige naam, imie i nazwisko, doctor name, physician"
    " name, provider name, billing name, shipping name, kontaktperson, ansprechpartner",
    "first_name": "first name, firstname, given name, givenname, forename, fname, first, middle name, middle initial,"
    " middlename, nickname, preferred name, vorname, rufname, prenom, nombre, primer nombre, nome,"
    " primeiro nome, voornaam, imie, fornavn, fornamn, etunimi, jmeno, keresztnev",
    "last_name": "last name, lastname, surname, family name, familyname, lname, last, maiden name, maiden, mothers"
    " maiden, mothers maiden name, birth name, nachname, familienname, geburtsname, nom de famille, nom"
    " famille, apellido, apellidos, cognome, sobrenome, achternaam, nazwisko, etternavn, efternamn,"
    " efternavn, sukunimi, prijmeni, vezeteknev",
    "username": "username, user name, login, login name, screen name, handle, user login, account name, benutzername,"
    " nom utilisateur, usuario, nome utente, gebruikersnaam, twitter, instagram, skype",
    "password": "password, passwd, pwd, passphrase, password hash, hashed password, pin code, secret answer,"
    " passwort, kennwort, mot de passe, contrasena, senha, wachtwoord, haslo, security answer",
    "street": "address, street, street address, street name, addr, address line, home address, mailing address,"
    " postal address, billing address, shipping address, delivery address, residence, house number,"
    " adresse, anschrift, strasse, hausnummer, rue, direccion, domicilio, calle, indirizzo, via, endereco,"
    " rua, adres, straat, ulica, gata, straatnaam, apartment",
    "credit_card": "credit card, creditcard, credit card number, creditcard number, card number, cardnumber, card no,"
    " ccnumber, cc number, cc num, ccn, debit card, payment card, pan, kreditkarte, kreditkartennummer,"
    " kartennummer, carte bancaire, numero carte, tarjeta, numero tarjeta, tarjeta credito, carta di"
    " credito, cartao",
    "card_detail": "cvv, cvv2, cvc, cvc2, csc, card security code, cc expires, ccexpires, cc expiry, card expiry, card"
    " expiration, expiry date card, cc exp, card exp",
    "bank_account": "iban, bank account, bank account number, account number, acct number, acct no, account no,"
    " accountnumber, kontonummer, bankverbindung, numero compte, cuenta bancaria, numero cuenta, routing"
    " number, sort code, bic, swift",
    "us_ssn": "ssn, social security, social security number, social security no, socialsecurity, us ssn, itin",
    "national_id": "national id, nationalid, national identification number, national identity, national insurance"
    " number, nino, nhs, nhs number, personal number, personnummer, personal id number, identity number,"
    " id number, identity card, citizen id, tax id, taxid, tin, tax number, steuer id, steuernummer,"
    " steueridentifikationsnummer, sozialversicherungsnummer, ahv, avs, nir, numero securite sociale, dni,"
    " nie, nif, nuip, curp, rfc, rut, codice fiscale, codicefiscale, cpf, bsn, pesel, cpr, cpr number,"
    " fodselsnummer, hetu, henkilotunnus, rodne cislo, oib, jmbg, emso, kennitala, isikukood, aadhaar,"
    " aadhar, pan card, sin, fiscal code, government id, gov id, pid number",
    "passport": "passport, passport number, passport no, passportnumber, reisepass, passnummer, passeport, pasaporte,"
    " passaporto, paspoort",
    "drivers_license": "drivers license, driver license, drivers licence, driver licence, driving licence,"
    " driving license,"
    " license number, licence number, drivers, dl number, fuhrerschein, fuehrerschein, permis de conduire,"
    " licencia conducir, patente guida, rijbewijs",
    "vehicle": "license plate, licence plate, number plate, plate number, registration plate, vin, vehicle"
    " registration, kennzeichen, matricula, targa, kenteken",
    "health_id": "mrn, medical record number, medical record, health record, health insurance number, insurance id,"
    " insurance number, insurance member id, memberid, beneficiary id, medicare number, medicaid number,"
    " patient number, versichertennummer, krankenversichertennummer, udi",
    "ip_address": "ip, ip address, ipaddress, ip addr, ipaddr, client ip, remote ip, user ip, source ip, ipv4, ipv6,"
    " remote addr, remote address, last ip, login ip, adresse ip, direccion ip",
    "mac_address": "mac, mac address, macaddress, mac addr, hardware address",
    "device_id": "device id, deviceid, imei, imsi, idfa, gaid, advertising id, cookie id, cookieid, android id, serial"
    " number, device serial, udid, fingerprint, browser fingerprint",
    "url": "website, homepage, personal website, profile url, linkedin, facebook, home page, blog url, web site",
    "person_id": "customer id, customerid, customer number, customer no, client id, clientid, client number, patient"
    " id, patientid, user id, userid, uid, person id, personid, pid, employee id, employeeid, employee"
    " number, employee no, member number, member id, subscriber id, account id, accountid, guest id,"
    " visitor id, visitorid, student id, student number, subject id, contact id, holder id, driver id,"
    " provider id, doctor id, kundennummer, kunden nr, mitarbeiternummer, personalnummer, numero client,"
    " id cliente, numero cliente, codice cliente, klantnummer, support rep id, manager id, reports to,"
    " patient, loyalty number, loyalty id, matriculation number, participant id, respondent id, case"
    " number, employee, customer, visitor",
    "coordinates": "latitude, longitude, lat, lon, lng, long, geo lat, geo lon, geo lng, gps, coordinates, lat lon,"
    " latlon, lat long, latlong, geolocation, geo point, breitengrad, laengengrad, latitud, longitud",
    "birth_date": "date of birth, dateofbirth, birth date, birthdate, birthday, dob, born, born on, birth day, birth"
    " year, year of birth, birth, geburtsdatum, geburtstag, geboren, geburtsjahr, date naissance, date de"
    " naissance, naissance, fecha nacimiento, fecha de nacimiento, nacimiento, data nascita, data di"
    " nascita, data nascimento, nascimento, geboortedatum, data urodzenia, fodselsdato, fodelsedatum,"
    " syntymaaika, datum narozeni, death date, deathdate, date of death",
    "age": "age, agep, age years, age in years, patient age, customer age, age group, age range, age band,"
    " alter, edad, eta, idade, leeftijd, wiek, alder",
    "gender": "gender, sex, geschlecht, genre, sexe, sexo, genero, sesso, geslacht, plec, kon, kjonn",
    "marital_status": "marital, marital status, maritalstatus, civil status, married, msp, familienstand, etat civil,"
    " situation familiale, estado civil, stato civile, burgerlijke staat, relationship",
    "ethnicity": "race, ethnicity, ethnic, ethnic group, ethnic origin, hispanic, hisp, rac p, ethnie, raza, etnia",
    "nationality": "nationality, citizenship, country of birth, birth country, native country, birthplace, birth place,"
    " place of birth, geburtsort, staatsangehoerigkeit, nationalite, lieu naissance, nacionalidad,"
    " nazionalita, nacionalidade, luogo nascita, nationaliteit, name set, nameset",
    "language": "preferred language, mother tongue, native language, spoken language, muttersprache",
    "religion": "religion, religious belief, faith, denomination, konfession, religione, religiao",
    "politics": "political party, party affiliation, political opinion, political affiliation, union membership,"
    " trade union",
    "sexuality": "sexual orientation, sexuality",
    "health": "diagnosis, diagnoses, disease, illness, symptom, symptoms, medication, allergy, allergies, blood"
    " type, blood group, blood pressure, cholesterol, condition code, icd, icd code, icd10, disability,"
    " diagnose, krankheit, diagnostic, maladie, diagnostico, enfermedad, diagnosi, malattia, bmi, hiv"
    " status, pregnancy, treatment, procedure code, reasondescription, reason description, reasoncode,"
    " reason code, dvet, drem, dphy, deye, dear, bp",
    "criminal_record": "criminal record, conviction, convictions, arrest, offence, offense, felony",
    "income": "salary, income, wage, wages, annual income, monthly income, pay rate, net worth, gehalt, lohn,"
    " einkommen, salaire, revenu, salario, ingresos, stipendio, reddito, renda, salaris, inkomen, pincp,"
    " compensation, credit score, capital gain, capital loss, salary class, balance, account balance,"
    " pincp decile, povpip, healthcare expenses, healthcare coverage, bonus",
    "postal_code": "zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz, postleitzahl, code"
    " postal, codigo postal, cap, cep, kod pocztowy, postnummer, postinumero, psc, iranyitoszam, eircode,"
    " pincode",
    "city": "city, town, city name, municipality, locality, suburb, stadt, ort, wohnort, gemeinde, ville,"
    " commune, ciudad, municipio, citta, comune, cidade, stad, plaats, woonplaats, miasto, mesto, by,"
    " kaupunki",
    "region": "state, province, county, region, state code, state name, state full, statefull, state province,"
    " prefecture, canton, bundesland, departement, provincia, regione, estado, provincie, wojewodztwo,"
    " puma, district",
    "country": "country, country code, country name, countrycode, country full, countryfull, nation, country of"
    " residence, land, pays, pais, paese, kraj, maa, zeme, telephone country code, phone country code",
    "honorific": "salutation, honorific, name prefix, prefix, name title, anrede, civilite, tratamiento, suffix",
    "job_title": "job, job title, jobtitle, occupation, profession, position, job role, beruf, berufsbezeichnung,"
    " metier, emploi, profesion, puesto, ocupacion, professione, mestiere, profissao, beroep, functie,"
    " zawod, speciality, specialty, workclass, work class",
    "organization": "company, company name, employer, employer name, organization name, organisation name, workplace,"
    " firma, arbeitgeber, entreprise, employeur, empresa, azienda, werkgever, bedrijf",
    "education": "education, education level, edu, educ, degree, highest degree, school, bildung, schulabschluss,"
    " education num",
    "free_text": "notes, note, comment, comments, remarks, remark, free text, freetext, message, message body, body,"
    " feedback, review text, transcript, bio, biography, about me, complaint, bemerkung, bemerkungen,"
    " notizen, kommentar, commentaire, commentaires, comentario, comentarios, osservazioni, opmerkingen,"
    " uwagi, user query, query text, ticket text",
    "event_date": "timestamp, created, created at, created on, updated at, order date, ordered at, invoice date,"
    " invoicedate, hire date, hiredate, start date, end date, visit date, admission date, discharge date,"
    " purchase date, registration dttm, registered at, registration date, signup date, last login, last"
    " visit, last seen, login time, datum, service date, servicedate, opened, closed, current illness"
    " date, currentillnessdate, time entered, last billed date, lastbilleddate, start, stop, date, time,"
    " start year, end year, entry date",
}
"""Phrases that name a kind and hardly anything else."""

WEAK = {
    "name": "name, nom, naam, navn, namn, contact, author, doctor, teacher, person, people",
    "credit_card": "cc, card",
    "bank_account": "account, konto, compte",
    "url": "url, link, domain, web, site, web page",
    "job_title": "title, role, titel, funktion",
    "honorific": "title",
    "record_id": "id, uuid, guid, key, number, nr, num, no, identifier, reference, ref, record id, rowid, row id,"
    " code, encounter",
    "free_text": "description, text, content, subject, details, reason, summary",
    "birth_date": "bday",
    "organization": "organization, organisation, org",
    "phone": "contact number",
    "device_id": "device, cookie",
    "language": "language, locale, lang",
    "street": "location",
    "health": "code",
    "username": "user, alias",
    "income": "pay",
}
"""Phrases that name a kind among other things."""

THINGS = _words(
    "album app application artist bank branch brand campaign category class column company course dataset"
    " department display domain drug event exam field file function game genre group hospital host index"
    " item job media medication metric model org organisation organization package payer plan playlist"
    " process product project queue school segment server service ship shop site store supplier table tag"
    " team test topic track type variable vendor"
)
"""What has a name, an address or a number without being a person: the word before says so."""

ABOUT = _words(
    "amount available avg bounced category changed cnt confirmed consent count enabled flag format hash"
    " hashed idx index length limit max mean min opt optin pct percent preference preferences provider"
    " rank rate ratio required score sent size status sum total type types url valid validated verified"
    " version weight wgt"
)
"""Words at the end that make a column tell something about a thing instead of the thing."""

COUNTED = _words(
    "allow avg can cnt count has is max mean min n needs no num number show sum total uses valid"
)
"""Words at the beginning that do the same."""
