"""What would each model show this person?"""
